"""The ``mgdn::DynamicFilter`` operation: its specification and native kernels."""
