"""The names of the backends and of the two filters, and whether what was asked goes together."""

from __future__ import annotations

import difflib
from typing import Literal

from mgdn_edge.runtime.errors import UserError

DEFAULT_BACKEND = "onnxruntime-cpu"
CUDA_BACKEND = "onnxruntime-cuda"
TENSORRT_BACKEND = "tensorrt"
BACKENDS = (DEFAULT_BACKEND, CUDA_BACKEND, TENSORRT_BACKEND)

# What computes DynamicFilter: our own operation, or the standard operators of its function body.
FilterChoice = Literal["native", "body"]
FilterImplementation = Literal["native", "function body"]  # what was found to compute it


def check_backends(backend: str, fallback: str | None, threads: int | None) -> None:
    """UserError where a backend is unknown or ``threads`` does not belong to it."""
    for option, name in (("--backend", backend), ("--fallback", fallback)):
        if name not in (None, *BACKENDS):
            close = difflib.get_close_matches(str(name), BACKENDS, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UserError(f"{option} {name} is unknown; {hint}known: {', '.join(BACKENDS)}")
    if threads is not None and backend != DEFAULT_BACKEND:
        raise UserError(
            f"--threads {threads} is for the CPU and {backend} fuses on the GPU; leave it out or "
            f"pass --backend {DEFAULT_BACKEND}"
        )
