"""clean_cache: remove engines by age and size, and whatever a crash left behind."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.engines.engine_cache import (
    ENGINE_SUFFIX,
    RECORD_SUFFIX,
    EngineCache,
    EngineRecord,
    read_engine_record,
)
from mgdn_edge.runtime.machine.progress import SILENT, Progress

DAY_SECONDS = 86400.0
# Names that the cache gives: NETWORK-VARIANT-KEY.engine with its .json, KEY.timing, and what a
# crash leaves of writing one, in this version and in earlier ones. All else belongs to the user.
ENGINE_NAME = re.compile(r".+-.+-[0-9a-f]{16}\.(engine|json)")
TIMING_NAME = re.compile(r"[0-9a-f]{16}\.timing")
PARTIAL_NAME = re.compile(r"\.(mgdn-[0-9a-f]{16}|.+\.(engine|json|timing)\.\d+)\.part")


class Removal(msgspec.Struct, frozen=True):
    """One file or engine to remove, with its sidecar: its bytes and why."""

    path: Path
    bytes: int
    reason: str


class _Kept(msgspec.Struct, frozen=True):
    path: Path
    bytes: int
    last_used: float


def clean_cache(
    cache: EngineCache,
    *,
    older_than_days: float | None = None,
    max_bytes: int | None = None,
    everything: bool = False,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> list[Removal]:
    """Remove, or with ``dry_run`` only list, in this order:

    1. files of ours that are not an engine with a readable sidecar;
    2. every engine and all timings, with ``everything``;
    3. engines not used for ``older_than_days``;
    4. the longest unused, until ``max_bytes`` are not exceeded.

    Files whose names are not the cache's stay. An engine in use is in memory and not affected.
    Waits for a running build. UserError where files cannot be removed.
    """
    if not cache.folder.is_dir():
        return []
    try:
        if dry_run:
            return _choose(cache, older_than_days, max_bytes, everything)
        with cache.lock(progress):
            removals = _choose(cache, older_than_days, max_bytes, everything)
            for removal in removals:
                removal.path.unlink(missing_ok=True)
                if removal.path.suffix == ENGINE_SUFFIX:
                    removal.path.with_suffix(RECORD_SUFFIX).unlink(missing_ok=True)
            return removals
    except OSError as error:
        raise UserError(f"cannot clean {cache.folder}: {error.strerror}") from error


def _choose(
    cache: EngineCache, older_than_days: float | None, max_bytes: int | None, everything: bool
) -> list[Removal]:
    removals, kept = [], []
    for path in _own_files(cache.engines, ENGINE_NAME):
        if path.suffix == RECORD_SUFFIX and path.with_suffix(ENGINE_SUFFIX).exists():
            continue
        record = read_engine_record(path) if path.suffix == ENGINE_SUFFIX else ""
        status = path.stat()
        if isinstance(record, EngineRecord):
            kept.append(_Kept(path, status.st_size, status.st_mtime))
        else:
            removals.append(Removal(path, status.st_size, record or "not an engine with a record"))
    if everything:
        timings = [
            Removal(path, path.stat().st_size, "everything goes")
            for path in _own_files(cache.folder / "timing", TIMING_NAME)
        ]
        return [*removals, *(Removal(k.path, k.bytes, "everything goes") for k in kept), *timings]
    kept.sort(key=lambda engine: engine.last_used)
    if older_than_days is not None:
        oldest = time.time() - older_than_days * DAY_SECONDS
        reason = f"not used for {older_than_days:g} days"
        removals += [Removal(k.path, k.bytes, reason) for k in kept if k.last_used < oldest]
        kept = [engine for engine in kept if engine.last_used >= oldest]
    if max_bytes is not None:
        total = sum(engine.bytes for engine in kept)
        for engine in kept:
            if total <= max_bytes:
                break
            removals.append(Removal(engine.path, engine.bytes, "the cache is too large"))
            total -= engine.bytes
    return removals


def _own_files(folder: Path, names: re.Pattern[str]) -> list[Path]:
    return [
        path
        for path in sorted(folder.glob("*"))
        if names.fullmatch(path.name) or PARTIAL_NAME.fullmatch(path.name)
    ]
