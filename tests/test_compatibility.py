"""docs/COMPATIBILITY.md: published files are read, and its table of schemas is the code's."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from mgdn_edge.runtime.alignment.apply.rig_file import read_rig
from mgdn_edge.runtime.pairing.clock_fit import read_clock

SCHEMA = re.compile(r"\bmgdn\.[a-z-]+/\d+")
# Published: these files stay as they are.
PUBLISHED = {
    "rig.toml": "d00bd873957d1319c0a3eec099e13816f0cf5a5c1e24b84e1ba60f253db9449f",
    "clock.json": "73c551c6b9e7c114dabd4c4394db79af1814965281a4d3edf85baf88b38ec3d5",
}


@pytest.fixture
def vectors(repository: Path) -> Path:
    return repository / "docs" / "vectors"


def test_published_files_stay_as_they_are(vectors: Path) -> None:
    for name, digest in PUBLISHED.items():
        assert hashlib.sha256((vectors / name).read_bytes()).hexdigest() == digest


def test_the_published_rig_is_read(vectors: Path) -> None:
    rig = read_rig(vectors / "rig.toml")
    assert (rig.schema, rig.method, rig.area) == ("mgdn.rig/1", "target", "crop")
    assert (rig.working_size, rig.view) == ((480, 640), (40, 30, 1200, 900))
    assert (rig.visible.size, rig.infrared.size) == ((960, 1280), (256, 320))
    assert rig.infrared.distortion == (-0.2, 0.05, 0.001, -0.001, 0.0)
    assert rig.clock_offset_ms == -37.5
    assert rig.homography()[0].tolist() == [3.9, 0.01, 16.0]
    # With a pose: K_v (R + t n' / d) K_i^-1, here 1100 * 0.2 / 5 pixels to the right.
    at_five_metres = np.array([[1100 / 280, 0, 639.5 + 44 - 159.5 * 1100 / 280]])
    assert np.allclose(rig.homography(5.0)[:1], at_five_metres)
    assert (rig.quality.error_px, rig.quality.confidence) == (0.75, 0.97)


def test_the_published_clock_is_read(vectors: Path) -> None:
    clock = read_clock(vectors / "clock.json")
    assert (clock.offset_ms, clock.skew_ppm, clock.at_s, clock.error_ms) == (-37.5, 42, 12.5, 0.6)
    # At 12.5 s the offset holds; a second later 42 us of skew are on top of it.
    assert clock.on_visible_clock(12_500_000_000 - 37_500_000) == 12_500_000_000
    assert abs(clock.on_visible_clock(13_500_042_000 - 37_500_000) - 13_500_000_000) <= 2


def test_its_schemas_are_those_of_the_code(repository: Path) -> None:
    page = (repository / "docs" / "COMPATIBILITY.md").read_text()
    (table,) = re.findall(r"^## Schemas\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    written = {
        schema
        for folder in ("runtime", "export", "calibration")
        for path in (repository / folder).rglob("*.py")
        for schema in SCHEMA.findall(path.read_text())
    }
    assert set(SCHEMA.findall(table)) == written
