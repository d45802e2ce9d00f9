"""Infrared-visible fusion from PyTorch checkpoint to live video on small boards."""

import os

__version__ = "0.1.0"

# ONNX Runtime 1.32 reads this once, as it is imported; without it, it leaves a device id and an
# event database below HOME and uploads them. Set here, because Python runs this before any module
# of ours, and processes started from here inherit it. A value that is already set is the user's.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
