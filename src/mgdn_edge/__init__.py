"""Infrared-visible fusion from PyTorch checkpoint to live video on small boards."""

__version__ = "0.1.0"
