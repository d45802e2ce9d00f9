"""Installation: what is asked about files, packages and the GPU of a machine, replaceable.

The doctor sees a machine only through this, so a test can show it any other.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mgdn_edge.runtime.machine.device import Device, read_device


def package_version(distribution: str) -> str:
    """The installed version by package metadata, empty where there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def module_version(name: str) -> str | None:
    """Import a module -> its ``__version__``, None where there is none of that name.

    Raises ImportError or OSError where it is there and does not import.
    """
    if importlib.util.find_spec(name) is None:
        return None
    return str(getattr(importlib.import_module(name), "__version__", ""))


@dataclass(frozen=True)
class Installation:
    """Where /etc, /proc, /usr and /var are, this Python, its packages, and the GPU.

    ``device`` raises DeviceError where there is no usable GPU. ``prefix`` is the environment's
    folder, ``python`` (3, 10) and the like.
    """

    root: Path = Path("/")
    package: Callable[[str], str] = package_version
    module: Callable[[str], str | None] = module_version
    device: Callable[[], Device] = read_device
    prefix: Path = field(default_factory=lambda: Path(sys.prefix))
    python: tuple[int, int] = sys.version_info[:2]

    def is_isolated(self) -> bool:
        """Whether this is a virtual environment that hides the system's packages."""
        settings = self.read(self.prefix / "pyvenv.cfg").replace(" ", "").lower()
        return "include-system-site-packages=false" in settings

    def system_package(self, name: str) -> str:
        """The version of a Debian package, empty where it is not installed."""
        status = self.read(self.root / "var/lib/dpkg/status")
        for paragraph in status.split("\n\n"):
            fields = dict(
                line.split(": ", 1) for line in paragraph.splitlines() if ": " in line[:40]
            )
            if fields.get("Package") == name and fields.get("Status", "").endswith(" installed"):
                return fields.get("Version", "")
        return ""

    @staticmethod
    def read(path: Path) -> str:
        """The file's text, empty where there is none: most exist on some machines only."""
        try:
            return path.read_text(errors="replace")
        except OSError:
            return ""
