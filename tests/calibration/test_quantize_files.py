"""What ``mgdn quantize`` writes: claimed before the first pair is read, the bundle first."""

import sys

import pytest

from mgdn_edge.calibration import quantize
from mgdn_edge.calibration.quantize import QuantizeOptions, quantize_bundle
from mgdn_edge.cli import main
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.packing.verification import verify_bundle

NAMES = ("a.mgdn", "a.cache", "a.html")


def run(monkeypatch, capfd, folder, pairs, held, *words):
    """The command, with a cache and a page beside the bundle -> code, out, err."""
    bundle, cache, page = (folder / name for name in NAMES)
    given = ("quantize", "mgdn-edge", pairs, bundle, "--held-out", held, "--target", "tensorrt")
    given += ("--calibration-cache", cache, "--report", page, *words)
    monkeypatch.setattr(sys, "argv", ["mgdn", *map(str, given)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, *capfd.readouterr()


@pytest.fixture
def no_work(monkeypatch):
    """Ends the test where a pair is looked at."""
    monkeypatch.setattr(quantize, "look_at_pairs", lambda *words: pytest.fail("it began"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_what_exists_stays_unless_told_so(
    monkeypatch, capfd, street_folder, held_folder, tmp_path, no_work, name
):
    (tmp_path / name).write_text("theirs")
    code, out, err = run(monkeypatch, capfd, tmp_path, street_folder, held_folder)
    assert code == 2 and out == "" and f"{name} exists; pass --overwrite" in err
    assert contents(tmp_path) == {name: b"theirs"}


def test_all_three_are_replaced_when_told_so(
    monkeypatch, capfd, street_folder, held_folder, tmp_path
):
    for name in NAMES:
        (tmp_path / name).write_text("theirs")
    code, out, err = run(monkeypatch, capfd, tmp_path, street_folder, held_folder, "-y")
    assert code == 0 and f"wrote {tmp_path / 'a.mgdn'}" in out, err
    assert verify_bundle(tmp_path / "a.mgdn").files > 10
    assert (tmp_path / "a.cache").read_text().startswith("TRT-100300-EntropyCalibration2")
    assert "float32" in (tmp_path / "a.html").read_text()
    assert sorted(contents(tmp_path)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("role", ["pairs", "held", "manifest", "source"])
def test_no_input_is_written_over(
    edge_bundle, streets, held_folder, pair_writer, tmp_path, no_work, name, role
):
    folder = pair_writer(tmp_path / "pairs", streets[:2])
    (folder / "manifest.csv").write_text(
        "dataset,name,ir,vi,split\ndrawn,a,ir/night1-0.png,vi/night1-0.png,train\n"
    )
    given = {
        "pairs": folder / "ir" / "night1-0.png",
        "held": held_folder / "vi" / "day5-0.png",
        "manifest": folder / "manifest.csv",
        "source": edge_bundle,
    }[role]
    before = given.read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(given)
    bundle, cache, page = (out / each for each in NAMES)
    options = QuantizeOptions(
        held_out=(str(held_folder),), calibration_cache=cache, report=page, targets=("tensorrt",)
    )
    with pytest.raises(UserError, match=f"would overwrite the input .*{given.name}"):
        quantize_bundle(edge_bundle, f"{folder}#drawn", bundle, options, overwrite=True)
    assert given.read_bytes() == before


@pytest.mark.parametrize("kinds", [(".cache",), (".html",), (".cache", ".html")])
def test_a_failed_file_beside_the_bundle_costs_neither_it_nor_the_verdicts(
    monkeypatch, capfd, street_folder, held_folder, tmp_path, fill_disk, kinds
):
    fill_disk(*kinds)
    code, out, err = run(monkeypatch, capfd, tmp_path, street_folder, held_folder)
    assert code == 4 and "int8 for tensorrt accepted" in out
    assert "a.mgdn is written, but cannot write" in err and "No space left" in err
    assert sorted(contents(tmp_path)) == sorted({*NAMES} - {f"a{kind}" for kind in kinds})
    verify_bundle(tmp_path / "a.mgdn")


def test_a_bundle_that_cannot_be_written_leaves_everything_as_it_was(
    monkeypatch, capfd, street_folder, held_folder, tmp_path, fill_disk
):
    for name in NAMES:
        (tmp_path / name).write_text("theirs")
    before = contents(tmp_path)
    fill_disk(".mgdn")
    code, out, err = run(monkeypatch, capfd, tmp_path, street_folder, held_folder, "-y")
    assert code == 2 and out == "" and "a.mgdn (No space left on device)" in err
    assert contents(tmp_path) == before
