"""Small files of /sys and /proc, most of which exist on some machines only."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str:
    """The file's text without surrounding space and zero bytes; empty where unreadable."""
    try:
        return path.read_text(errors="replace").strip("\0 \n\t")
    except OSError:  # absent, for root only, or a sensor that is switched off
        return ""


def read_number(path: Path) -> float | None:
    """The number a file holds, None where it holds none or cannot be read."""
    try:
        return float(read_text(path))
    except ValueError:
        return None
