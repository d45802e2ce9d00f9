"""Exports made once a session; tracing takes seconds."""

from pathlib import Path

import pytest

from mgdn_edge.export.export_network import export_network

OFFICIAL_WEIGHTS = "golden/mgdn/62000_E.safetensors"


@pytest.fixture(scope="session")
def edge_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export folder of the packaged edge weights."""
    folder = tmp_path_factory.mktemp("exports") / "edge"
    export_network("edge", folder)
    return folder


@pytest.fixture(scope="session")
def official_weights(shared: Path) -> Path:
    """The published multi-focus checkpoint."""
    return shared / OFFICIAL_WEIGHTS


@pytest.fixture(scope="session")
def mff_export(tmp_path_factory: pytest.TempPathFactory, official_weights: Path) -> Path:
    """Export folder of the published multi-focus weights, one small static variant."""
    folder = tmp_path_factory.mktemp("exports") / "mff"
    export_network("mff", folder, checkpoint=official_weights, sizes=[(64, 80)])
    return folder
