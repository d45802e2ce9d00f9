"""The process that builds: this module, run with DESCRIPTOR FOLDER as arguments.

Started by build_process. It writes events to DESCRIPTOR, a pipe, because TensorRT's libraries
print to stdout and stderr as they like.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from mgdn_edge.runtime.fusion.engines.build_network import BuildError, build_engine
from mgdn_edge.runtime.fusion.engines.build_protocol import (
    REQUEST_FILE,
    BuildEvent,
    BuildRequest,
    Failed,
    StageBegun,
    encode_event,
)

PR_SET_PDEATHSIG = 1  # linux/prctl.h
FIRST_TO_DIE = "1000"  # the largest oom_score_adj
OUT_OF_MEMORY = "memory ran out"


def main() -> int:
    """Build what the folder's request asks for; 0 where the engine is in its file, else 1."""
    descriptor, folder = int(sys.argv[1]), Path(sys.argv[2])
    _die_before_others()
    lock = threading.Lock()

    def report(event: BuildEvent) -> None:
        with lock:
            os.write(descriptor, encode_event(event))

    try:
        request = msgspec.json.decode((folder / REQUEST_FILE).read_bytes(), type=BuildRequest)
        report(StageBegun(f"importing {request.module}"))
        build_engine(importlib.import_module(request.module), request, folder, report)
    except BuildError as error:
        report(Failed(str(error)))
    except MemoryError:
        report(Failed(OUT_OF_MEMORY))
    except (ImportError, OSError) as error:
        report(Failed(f"{type(error).__name__}: {error}"))
    else:
        return 0
    return 1


def _die_before_others() -> None:
    """With the thread that waits for it, and before what shows live pictures if memory runs out."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError):  # some containers forbid it
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_DIE)


if __name__ == "__main__":
    sys.exit(main())
