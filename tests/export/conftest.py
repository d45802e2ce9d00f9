"""Exports made once a session; tracing takes seconds."""

from pathlib import Path

import cv2
import numpy as np
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


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    """A folder with a manifest of two 64x48 pairs to train on and one to measure on."""
    root = tmp_path / "data"
    root.mkdir()
    random = np.random.default_rng(0)
    lines = ["dataset,name,ir,vi,split\n"]
    for name, split in (("a", "train"), ("b", "train"), ("c", "val")):
        for stream in ("vi", "ir"):
            noise = random.integers(0, 256, (12, 12)).astype(np.uint8)
            cv2.imwrite(str(root / f"{name}_{stream}.png"), cv2.resize(noise, (64, 48)))
        lines.append(f"msrs,{name},{name}_ir.png,{name}_vi.png,{split}\n")
    (root / "manifest.csv").write_text("".join(lines))
    return root
