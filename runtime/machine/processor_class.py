"""The class of processor a measured speed holds for: 8-bit kernels differ by these instructions."""

from __future__ import annotations

import platform
from pathlib import Path

# Flag of /proc/cpuinfo -> what it gives, the fastest first.
INSTRUCTIONS = {
    "x86_64": {"avx512_vnni": "vnni", "avx_vnni": "vnni"},
    "aarch64": {"i8mm": "i8mm", "asimddp": "dotprod"},
}


def processor_class(root: Path = Path("/")) -> str:
    """Such as "x86_64 vnni" or "aarch64 dotprod"; the architecture alone without such flags.

    ``root`` is where /proc is.
    """
    machine = platform.machine()
    try:
        text = (root / "proc/cpuinfo").read_text(errors="replace")
    except OSError:  # a container may hide /proc
        return machine
    lines = [line.partition(":") for line in text.splitlines()]
    flags = {
        flag for key, _, value in lines if key.strip() in ("flags", "Features")
        for flag in value.split()
    }  # fmt: skip
    for flag, name in INSTRUCTIONS.get(machine, {}).items():
        if flag in flags:
            return f"{machine} {name}"
    return machine
