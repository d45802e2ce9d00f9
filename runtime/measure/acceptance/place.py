"""Where an acceptance runs and where it writes: the backend, and the folder to send back."""

from __future__ import annotations

import platform
import re
from datetime import datetime
from pathlib import Path

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.contract.backend_names import (
    CUDA_BACKEND,
    DEFAULT_BACKEND,
    TENSORRT_BACKEND,
    check_backends,
)
from mgdn_edge.runtime.machine.device import read_device

SHORT_NAMES = {"ort-cpu": DEFAULT_BACKEND, "ort-cuda": CUDA_BACKEND}


def choose_backend(asked: str | None, threads: int | None) -> str:
    """The backend's full name; without one asked for, TensorRT where a GPU is.

    DeviceError, with what is missing and the CPU's command, where there is none.
    """
    backend = SHORT_NAMES.get(asked or "", asked or TENSORRT_BACKEND)
    check_backends(backend, None, threads)
    if asked is None:
        try:
            read_device()
        except DeviceError as error:
            raise DeviceError(
                f"{error}; to accept the bundle on the CPU instead: mgdn accept --backend ort-cpu"
            ) from error
    return backend


def choose_folder(out: Path | None) -> Path:
    """``out``, else accept-HOST-DATE here."""
    host = re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node()).strip("-.") or "machine"
    return out or Path(f"accept-{host}-{datetime.now():%Y%m%d-%H%M%S}")
