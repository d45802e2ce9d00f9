"""Drawn street scenes as folders of pairs, and the default network's graphs."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mgdn_edge.calibration.lowered_models import dynamic_variant
from mgdn_edge.calibration.range_observer import RangeObserver
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.ranges import Ranges
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.pairing.recordings import list_recordings, read_frame_pairs

STREET = "synthetic://{scene}?seed={seed}&frames={frames}&size=160x128"


def write_pairs(folder: Path, pairs, *, exchanged: bool = False) -> Path:
    """(name, visible, infrared) -> a folder with vi/ and ir/."""
    for stream in ("vi", "ir"):
        (folder / stream).mkdir(parents=True)
    for name, visible, infrared in pairs:
        planes = (infrared, visible) if exchanged else (visible, infrared)
        for stream, plane in zip(("vi", "ir"), planes, strict=True):
            cv2.imwrite(str(folder / stream / f"{name}.png"), np.asarray(plane))
    return folder


def street(scene: str, seed: int, frames: int):
    uri = STREET.format(scene=scene, seed=seed, frames=frames)
    pairs = read_frame_pairs(list_recordings(f"{uri},{uri}", "train"))
    return [(f"{scene}{seed}-{n}", p.visible, p.infrared) for n, p in enumerate(pairs)]


@pytest.fixture(scope="session")
def streets() -> list:
    """Twelve pairs to calibrate on."""
    return [*street("night", 1, 4), *street("day", 2, 4), *street("dusk", 3, 4)]


@pytest.fixture(scope="session")
def other_streets() -> list:
    """Six pairs of other seeds, to judge on."""
    return [*street("night", 4, 2), *street("day", 5, 2), *street("dusk", 6, 2)]


@pytest.fixture(scope="session")
def street_folder(tmp_path_factory: pytest.TempPathFactory, streets) -> Path:
    return write_pairs(tmp_path_factory.mktemp("streets") / "seen", streets)


@pytest.fixture(scope="session")
def held_folder(tmp_path_factory: pytest.TempPathFactory, other_streets) -> Path:
    return write_pairs(tmp_path_factory.mktemp("streets") / "held", other_streets)


@pytest.fixture(scope="session")
def edge_bundle() -> Path:
    return packaged_bundles()["mgdn-edge"]


@pytest.fixture(scope="session")
def edge_models(edge_bundle: Path) -> dict[str, bytes]:
    """The default network's graphs by path, such as "models/640x480.onnx"."""
    with open_bundle(edge_bundle) as bundle:
        refs = [r for v in bundle.manifest.variants for r in (v.file, v.file_without_body)]
        return {ref.path: bundle.read(ref) for ref in refs}


@pytest.fixture(scope="session")
def edge_ranges(edge_bundle: Path, street_folder: Path) -> Ranges:
    """The default network's ranges on the drawn streets."""
    with open_bundle(edge_bundle) as bundle:
        observer = RangeObserver(bundle.read(dynamic_variant(bundle).file))
    for pair in read_frame_pairs(list_recordings(str(street_folder), "train")):
        observer.add(pair)
    tensors = {name: found.finish() for name, found in observer.histograms.items()}
    return Ranges("mgdn-edge", tensors, (), "all")


@pytest.fixture(scope="session")
def pair_writer():
    """``write_pairs`` for tests."""
    return write_pairs


@pytest.fixture(scope="session")
def engine_builder():
    """ONNX bytes of 640x480 -> NVIDIA's builder's Construction, ahead of time; only for ``rtx``."""
    from mgdn_edge.runtime.fusion.engines.build_process import run_build
    from mgdn_edge.runtime.fusion.engines.build_protocol import BuildRequest

    request = BuildRequest(
        "tensorrt_rtx_bindings", 480, 640, 1 << 30, tf32=False, optimization_level=3
    )
    return lambda model: run_build(request, model, b"", lambda event: None, "")
