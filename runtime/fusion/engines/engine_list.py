"""list_engines: every engine of a cache with its state."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, EngineRecord


class ListedEngine(msgspec.Struct, frozen=True):
    """One engine file; ``last_used`` in seconds since 1970, ``state`` "sound" or what is wrong."""

    path: Path
    state: str
    bytes: int
    last_used: float
    record: EngineRecord | None


def list_engines(cache: EngineCache) -> list[ListedEngine]:
    """Every engine file with its digest compared, sorted by name."""
    return [_examine(path, record) for path, record in cache.records()]


def _examine(path: Path, record: EngineRecord | str) -> ListedEngine:
    try:
        status, digest = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return ListedEngine(path, f"cannot be read ({error.strerror})", 0, 0.0, None)
    if isinstance(record, str):
        return ListedEngine(path, record, status.st_size, status.st_mtime, None)
    state = "sound" if digest == record.sha256 else "damaged: its digest is not the one recorded"
    return ListedEngine(path, state, status.st_size, status.st_mtime, record)
