"""The machine and the versions a figure depends on, and the command that made it."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from mgdn_edge.runtime.redaction import redact, remember_secrets


def describe_environment(
    versions: Mapping[str, str], facts: Mapping[str, str | None], root: Path = Path("/")
) -> list[tuple[str, str]]:
    """(name, value) rows: ``facts`` first (None is left out), the machine, then versions.

    ``root`` is where /proc is.
    """
    usable, count = len(os.sched_getaffinity(0)), os.cpu_count()
    machine = {
        "board": _read_text(root / "proc/device-tree/model").strip("\0 \n") or None,
        "processor": f"{processor_name(root)}, {usable} of {count} CPUs usable",
        "system": f"{_system_name()}, Linux {platform.release()}, {platform.machine()}",
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }
    rows = {**facts, **machine, **versions}
    return [(name, value) for name, value in rows.items() if value is not None]


def command_text(words: Sequence[str]) -> str:
    """The words after the program's name, as a line that can be typed again but for passwords."""
    remember_secrets(*words)
    return redact(shlex.join(["mgdn", *map(redact, words)]))


def processor_name(root: Path = Path("/")) -> str:
    """What /proc/cpuinfo calls the processor, or the architecture where it gives no name."""
    fields: dict[str, str] = {}
    for line in _read_text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields.get("model name") or fields.get("Model") or platform.machine()


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:  # a minimal image has no os-release
        return platform.system()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # a container may hide /proc; most machines have no device tree
        return ""
