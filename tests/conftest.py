"""Markers say what a test needs; a skip says what is missing and how to get it."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
DATA_ROOT = Path(os.environ.get("MGDN_SHARED", REPOSITORY.parent / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip ``data`` tests where the shared images and golden vectors are absent."""
    if DATA_ROOT.is_dir():
        return
    reason = f"needs the shared images and golden vectors: {DATA_ROOT} (or set MGDN_SHARED)"
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with ``data/`` and ``golden/``; only for tests marked ``data``."""
    return DATA_ROOT


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY
