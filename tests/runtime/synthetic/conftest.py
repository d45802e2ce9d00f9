"""Rigs small enough to draw in moments; sizes 320x240 keep people dozens of pixels tall."""

import pytest

from mgdn_edge.runtime.synthetic import Rig, open_rig

SMALL = "size=320x240&frames=100"


@pytest.fixture(scope="session")
def night() -> Rig:
    return open_rig(f"synthetic://night?seed=1&{SMALL}")


@pytest.fixture(scope="session")
def smoky() -> Rig:
    return open_rig(f"synthetic://smoke?seed=1&{SMALL}")
