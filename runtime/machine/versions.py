"""Versions of what a figure depends on, for every report."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from mgdn_edge import __version__

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "av",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
)


def installed_versions() -> dict[str, str]:
    """Versions of this package, of Python and of what a measurement depends on, by name."""
    versions = {"mgdn-edge": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        # Backends exclude each other, so an absent package is not an error.
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
