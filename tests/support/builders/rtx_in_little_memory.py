"""TensorRT-RTX in a process that may not grow by more than 64 MiB."""

import resource
from pathlib import Path

from tensorrt_rtx_bindings import *  # noqa: F403
from tensorrt_rtx_bindings import __version__ as __version__

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
