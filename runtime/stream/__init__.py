"""One stream from two URIs to an output: request, threads, ledger, result."""
