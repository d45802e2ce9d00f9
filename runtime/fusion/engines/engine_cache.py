"""The engine cache: FOLDER/engines/NAME.engine, each with NAME.json saying what it is.

The sidecar is written last and holds the engine's SHA-256, so an engine without a fitting sidecar
is none. Engines are code: a folder that everyone may write to is refused, and nothing is handed
out before its digest was compared.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.engine_key import (
    DEVICE_FIELDS,
    EngineKey,
    key_differences,
    key_digest,
)
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.whole_file import write_whole

ENGINE_SUFFIX = ".engine"
RECORD_SUFFIX = ".json"
LOCK_FILE = "build.lock"
NAME_DIGITS = 16  # of the key's digest in a file's name; the sidecar holds the whole key
WORLD_WRITABLE = stat.S_IWOTH


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parity of an engine on its device: the largest difference and what is allowed, in levels.

    ``reference`` is "golden pair" or "CPU"; ``at`` the time in seconds since 1970.
    """

    reference: str
    max_error: float
    tolerance: float
    at: float


class EngineRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sidecar: what an engine is, how it was made, and whether its parity was seen."""

    schema: Literal[1]
    network: str
    variant: str
    key: EngineKey
    sha256: str
    bytes: int
    built_at: float
    build_seconds: float
    layers: int
    verified: Verification | None = None


class CachedEngine(msgspec.Struct, frozen=True):
    """A sound engine: its bytes have the digest its record states."""

    path: Path
    record: EngineRecord
    data: bytes


class Miss(msgspec.Struct, frozen=True):
    """No usable engine: why, in one clause, and the record of the nearest one, if any."""

    reason: str
    nearest: EngineRecord | None = None


def cache_folder(chosen: Path | None = None) -> Path:
    """``chosen``, else MGDN_CACHE, else mgdn-edge below the user's cache folder (XDG)."""
    if chosen is not None:
        return chosen
    if named := os.environ.get("MGDN_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "mgdn-edge"


class EngineCache:
    """Engines of one folder; made on the first write, private to its user."""

    def __init__(self, folder: Path) -> None:
        """DeviceError where everyone may write to the folder."""
        self.folder = folder
        self.engines = folder / "engines"
        for path in (folder, self.engines):
            with suppress(OSError):
                if path.stat().st_mode & WORLD_WRITABLE:
                    raise DeviceError(
                        f"everyone may write to {path}, and engines are code; "
                        f"run: chmod o-w {path}, or name another folder with MGDN_CACHE"
                    )

    def path_of(self, network: str, variant: str, key: EngineKey) -> Path:
        """Where the engine of that key is or would be."""
        name = f"{network}-{variant}-{key_digest(key)[:NAME_DIGITS]}"
        return self.engines / f"{name}{ENGINE_SUFFIX}"

    def find(self, network: str, variant: str, key: EngineKey) -> CachedEngine | Miss:
        """The engine of exactly that key with its digest checked, or why there is none."""
        path = self.path_of(network, variant, key)
        record = read_engine_record(path)
        if isinstance(record, EngineRecord):
            return self._check(path, record, key)
        if record or path.exists():
            return Miss(f"{path} is not usable: {record or 'its record is missing'}")
        nearest = self._nearest(network, key)
        if nearest is None:
            return Miss(f"there is none for {network}, variant {variant}, in {self.engines}")
        return Miss(f"the nearest one differs in {describe_differences(key, nearest.key)}", nearest)

    def store(self, data: bytes, record: EngineRecord) -> Path:
        """Write engine, then sidecar, each whole. Raises OSError."""
        path = self.path_of(record.network, record.variant, record.key)
        self._make_folders()
        write_whole(path, data)
        write_engine_record(path, record)
        return path

    def mark_verified(self, path: Path, verified: Verification) -> None:
        """State an engine's parity in its sidecar, where that can be written."""
        record = read_engine_record(path)
        if isinstance(record, EngineRecord):
            with suppress(OSError):
                write_engine_record(path, msgspec.structs.replace(record, verified=verified))

    def records(self) -> list[tuple[Path, EngineRecord | str]]:
        """Each engine's path with its record, or with what is wrong with it; sorted by name."""
        return [
            (path, read_engine_record(path) or "its record is missing")
            for path in sorted(self.engines.glob(f"*{ENGINE_SUFFIX}"))
        ]

    @contextmanager
    def lock(self, progress: Progress = SILENT) -> Iterator[None]:
        """One builder at a time: two would spoil each other's measurements and memory.

        Raises OSError where the folder cannot be written. The kernel lets go of the lock when its
        process ends, however it ends; the file stays.
        """
        self._make_folders()
        with (self.folder / LOCK_FILE).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.tell(
                    f"another process builds an engine into {self.folder}; waiting for it"
                )
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _make_folders(self) -> None:
        for path in (self.folder, self.engines):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _check(self, path: Path, record: EngineRecord, key: EngineKey) -> CachedEngine | Miss:
        if record.key != key:  # copied or renamed: its name does not belong to it
            other = "device" if is_other_device(key, record.key) else "key"
            differing = describe_differences(key, record.key)
            return Miss(
                f"{path} is an engine of another {other}: it differs in {differing}", record
            )
        try:
            data = path.read_bytes()
        except OSError as error:
            return Miss(f"{path} cannot be read ({error.strerror})", record)
        if len(data) != record.bytes:
            return Miss(f"{path} is damaged: {len(data)} bytes instead of {record.bytes}", record)
        if hashlib.sha256(data).hexdigest() != record.sha256:
            return Miss(f"{path} is damaged: its digest is not the one recorded", record)
        with suppress(OSError):
            os.utime(path)  # what `cache gc --older-than` goes by
        return CachedEngine(path, record, data)

    def _nearest(self, network: str, key: EngineKey) -> EngineRecord | None:
        """The record of that network and size with the fewest differing fields, newest first."""
        near = [
            record
            for _, record in self.records()
            if isinstance(record, EngineRecord)
            and record.network == network
            and (record.key.height, record.key.width) == (key.height, key.width)
        ]
        order = [(len(key_differences(key, record.key)), -record.built_at) for record in near]
        return near[order.index(min(order))] if near else None


def new_record(
    data: bytes, *, network: str, variant: str, key: EngineKey, seconds: float, layers: int
) -> EngineRecord:
    """The sidecar of an engine built just now."""
    digest = hashlib.sha256(data).hexdigest()
    return EngineRecord(1, network, variant, key, digest, len(data), time.time(), seconds, layers)


def read_engine_record(path: Path) -> EngineRecord | str:
    """The sidecar of the engine at ``path``; a clause saying what is wrong, "" where none is."""
    sidecar = path.with_suffix(RECORD_SUFFIX)
    try:
        return msgspec.json.decode(sidecar.read_bytes(), type=EngineRecord)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{sidecar.name} cannot be read ({error.strerror})"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"{sidecar.name} is damaged or of another version ({error})"


def write_engine_record(path: Path, record: EngineRecord) -> None:
    """Write the sidecar of the engine at ``path``. Raises OSError."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
    write_whole(path.with_suffix(RECORD_SUFFIX), text)


def describe_differences(wanted: EngineKey, found: EngineKey) -> str:
    """Every differing field with both values, such as "GPU (wanted A, found B), TF32 (...)"."""
    return ", ".join(map(str, key_differences(wanted, found)))


def is_other_device(wanted: EngineKey, found: EngineKey) -> bool:
    """Whether two keys are of different GPUs."""
    return any(getattr(wanted, field) != getattr(found, field) for field in DEVICE_FIELDS)
