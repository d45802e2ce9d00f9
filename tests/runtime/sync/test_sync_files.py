"""The clock file of ``mgdn sync``: claimed before the measuring, told if it cannot be written."""

import pytest

from mgdn_edge.runtime.pairing.clock_fit import ClockFit, read_clock
from mgdn_edge.runtime.sync import sync_sources

FIT = ClockFit(offset_ms=12.5, error_ms=0.5)
SCENE = "synthetic://dusk?seed=1"


@pytest.fixture
def measured(monkeypatch):
    """What was measured: the arguments of each time."""
    calls = []

    def measure(visible, infrared, **options):
        calls.append((visible, infrared))
        return FIT

    monkeypatch.setattr(sync_sources, "sync_sources", measure)
    return calls


def test_a_clock_file_is_replaced_only_when_told_so(tmp_path, measured, run_mgdn):
    path = tmp_path / "clock.json"
    path.write_text("theirs")
    done = run_mgdn("sync", SCENE, SCENE, "--output", path)
    assert done.code == 2 and "clock.json exists; pass --overwrite" in done.err
    assert path.read_text() == "theirs" and measured == []
    assert run_mgdn("sync", SCENE, SCENE, "--output", path, "-y").code == 0
    assert read_clock(path) == FIT


def test_no_input_becomes_the_clock(tmp_path, measured, run_mgdn):
    rig, clip = tmp_path / "rig.toml", tmp_path / "vi.mp4"
    for given in (rig, clip):
        given.write_text("theirs")
        link = tmp_path / "link.json"
        link.symlink_to(given)
        done = run_mgdn("sync", clip, SCENE, "--rig", rig, "--output", link, "-y")
        assert done.code == 2 and f"would overwrite the input {given}" in done.err
        assert given.read_text() == "theirs" and measured == []
        link.unlink()


def test_what_was_measured_is_told_though_it_cannot_be_written(
    tmp_path, measured, run_mgdn, fill_disk
):
    path = tmp_path / "clock.json"
    path.write_text("theirs")
    fill_disk(".json")
    for words in ((), ("--json",)):
        done = run_mgdn("sync", SCENE, SCENE, "--output", path, "-y", *words)
        assert done.code == 4 and "12.5" in done.out and "--clock" not in done.out
        assert "cannot write" in done.err and "No space left" in done.err
    assert path.read_text() == "theirs"
    assert [file.name for file in tmp_path.iterdir()] == ["clock.json"]
