"""Versions of what a figure depends on, for every report."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "mgdn-edge",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "av",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
)


def installed_versions() -> dict[str, str]:
    """Python's version and those of the installed packages a measurement depends on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        # Backends exclude each other, so an absent package is not an error.
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
