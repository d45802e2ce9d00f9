"""Wish: what an acceptance is asked to do; and what it tells while it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec

FRAMES, SOAK_SECONDS = 200, 60.0

Tell = Callable[[str], None]
# (title, total) -> a progress bar, told how much of the total is done.
Show = Callable[[str, float], AbstractContextManager[Callable[[float], None]]]


class Wish(msgspec.Struct, frozen=True):
    """A bundle's path or a packaged network's name, on a backend's full name."""

    bundle: str
    backend: str
    threads: int | None = None
    frames: int = FRAMES
    soak_seconds: float = SOAK_SECONDS
    command: str = ""


def silent(title: str, total: float) -> AbstractContextManager[Callable[[float], None]]:
    """No progress bar."""
    return nullcontext(lambda done: None)
