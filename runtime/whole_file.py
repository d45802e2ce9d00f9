"""Files written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mgdn_edge.runtime.errors import UserError


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` through a temporary sibling, fsync and rename.

    A reader sees the old file or the new one; a crash leaves the old one. Raises OSError.
    """
    sibling = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with sibling.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sibling.replace(path)
    except BaseException:
        sibling.unlink(missing_ok=True)
        raise


def check_side_file(path: Path, option: str, suffix: str, taken: Iterable[Path]) -> None:
    """Raise UserError unless ``path`` can become a new file of kind ``suffix``.

    ``taken`` are the inputs and outputs of the same run, which it must not replace. Asked before
    the run, so that a slip of the pen does not cost one.
    """
    if path.suffix.lower() != suffix:
        raise UserError(f"{option} {path} does not end in {suffix}; name it NAME{suffix}")
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file in it: {path / 'NAME'}{suffix}")
    if not path.parent.is_dir():
        raise UserError(
            f"{option} {path}: {path.parent} is not a folder; create it first: "
            f"mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"{option} {path}: no permission to write there; give another place")
    if any(path.resolve() == other.resolve() for other in taken):
        raise UserError(f"{option} {path} would overwrite another file of this run; rename it")
