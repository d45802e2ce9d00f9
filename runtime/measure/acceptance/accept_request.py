"""AcceptRequest: what an acceptance is asked to do, and on which backend."""

from __future__ import annotations

import msgspec

from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.backend_table import choose_gpu_backend
from mgdn_edge.runtime.fusion.contract.backend_names import (
    DEFAULT_BACKEND,
    TENSORRT_BACKEND,
    check_backends,
)
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice

FRAMES, SOAK_SECONDS = 200, 60.0


class AcceptRequest(msgspec.Struct, frozen=True):
    """A bundle's path or a packaged network's name, and how its sessions are opened.

    ``choice`` without a backend means TensorRT on a GPU. Its variant, precision and fallback stay
    None: an acceptance tries every precision the bundle holds for the backend, and no other.
    """

    bundle: str
    choice: SessionChoice = DEFAULT_CHOICE
    frames: int = FRAMES
    soak_seconds: float = SOAK_SECONDS
    command: str = ""


def choose_backend(choice: SessionChoice) -> str:
    """The backend to accept on; UserError for what an acceptance does not leave to choose.

    DeviceError, with what is missing and the CPU's command, where none is asked for and no GPU is.
    """
    for option in ("variant", "precision", "fallback"):
        if (given := getattr(choice, option)) is not None:
            raise UserError(
                f"{option} {given} was chosen, but an acceptance tries every precision the bundle "
                "holds for one backend; leave it out"
            )
    check_backends(choice.backend or TENSORRT_BACKEND, None, choice.threads)
    if choice.backend is not None:
        return choice.backend
    try:
        return choose_gpu_backend()
    except DeviceError as error:
        way = f"to accept the bundle on the CPU instead: mgdn accept --backend {DEFAULT_BACKEND}"
        raise DeviceError(error.sentence, ways=[*error.ways, way]) from error
