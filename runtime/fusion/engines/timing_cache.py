"""Measured times of tactics, kept between builds: FOLDER/timing/DIGEST.timing.

A file is the SHA-256 of the rest, then TensorRT's own bytes: TensorRT trusts what it is given, so
a damaged file must be found before. One file a device and version, for times hold nowhere else.
"""

import hashlib
from pathlib import Path

from mgdn_edge.runtime.fusion.engines.engine_key import EngineKey, timing_digest
from mgdn_edge.runtime.whole_file import write_whole

DIGEST_BYTES = 32
NAME_DIGITS = 16


def timing_path(folder: Path, key: EngineKey) -> Path:
    """Where the cache folder keeps the times that hold for ``key``."""
    return folder / "timing" / f"{timing_digest(key)[:NAME_DIGITS]}.timing"


def read_timings(path: Path) -> tuple[bytes, str]:
    """(TensorRT's bytes, what was wrong): empty bytes where there is no sound file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", ""
    except OSError as error:
        return b"", f"timing cache {path} cannot be read ({error.strerror}); every tactic is timed"
    digest, timings = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(timings).digest() != digest:
        return b"", f"timing cache {path} is damaged and left out; every tactic is timed"
    return timings, ""


def write_timings(path: Path, timings: bytes) -> None:
    """Keep TensorRT's bytes, whole or not at all. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, hashlib.sha256(timings).digest() + timings)
