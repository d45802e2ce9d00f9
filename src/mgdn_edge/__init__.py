"""Infrared-visible fusion from PyTorch checkpoint to live video on small boards.

The names below are the library's face; each is imported when it is first asked for, so that
``import mgdn_edge`` stays instant:

    from mgdn_edge import FuseRequest, fuse_files, open_session
"""

import importlib
import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# ONNX Runtime 1.32 reads this once, as it is imported; without it, it leaves a device id and an
# event database below HOME and uploads them. Set here, because Python runs this before any module
# of ours, and processes started from here inherit it. A value that is already set is the user's.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from mgdn_edge.runtime.bundle.reader import Bundle, open_bundle
    from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
    from mgdn_edge.runtime.errors import UserError
    from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
    from mgdn_edge.runtime.fusion.open_session import open_session
    from mgdn_edge.runtime.machine.progress import Progress
    from mgdn_edge.runtime.picture.drawn_scene import draw_scene
    from mgdn_edge.runtime.stream.fuse_files import fuse_files
    from mgdn_edge.runtime.stream.request import FuseRequest
    from mgdn_edge.runtime.stream.result import FuseResult

__all__ = [
    "Bundle",
    "FuseRequest",
    "FuseResult",
    "InfraredOptions",
    "Progress",
    "SessionChoice",
    "UserError",
    "draw_scene",
    "fuse_files",
    "open_bundle",
    "open_infrared",
    "open_session",
    "open_visible",
]

_HOMES = {
    "Bundle": "runtime.bundle.reader",
    "FuseRequest": "runtime.stream.request",
    "FuseResult": "runtime.stream.result",
    "InfraredOptions": "runtime.capture.sources",
    "Progress": "runtime.machine.progress",
    "SessionChoice": "runtime.fusion.contract.session_choice",
    "UserError": "runtime.errors",
    "draw_scene": "runtime.picture.drawn_scene",
    "fuse_files": "runtime.stream.fuse_files",
    "open_bundle": "runtime.bundle.reader",
    "open_infrared": "runtime.capture.sources",
    "open_session": "runtime.fusion.open_session",
    "open_visible": "runtime.capture.sources",
}


def __getattr__(name: str) -> object:
    """Import the module that holds ``name`` the first time it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
