"""A folder of frames: moved to its name when it is complete, nobody's files touched."""

import stat

import cv2
import pytest

from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.fuse import fuse_files
from mgdn_edge.runtime.sinks.frame_mark import is_unchanged_frame
from mgdn_edge.runtime.sources import InfraredOptions


def test_a_new_folder_appears_when_it_is_complete(tmp_path, here, stills, names):
    vi = stills(tmp_path / "vi", 4)
    seen = []
    fuse_files(
        str(vi), str(vi), str(here / "out/"), network="average",
        infrared_options=InfraredOptions(luma=True), on_frame=lambda: seen.append(names(here)),
    )  # fmt: skip
    assert seen == [["out.part"]] * 4
    assert names(here) == ["out"]
    assert names(here / "out") == [f"{number:03}.png" for number in range(4)]


def test_a_shorter_rerun_leaves_no_frame_of_the_longer_one(tmp_path, here, stills, names):
    long, short = stills(tmp_path / "long", 6), stills(tmp_path / "short", 3, first=2)
    folder = here / "out"
    fuse_files(str(long), str(long), str(folder), network="average")
    edited = cv2.imread(str(folder / "005.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / "005.png"), edited)
    (folder / "notes.txt").write_text("theirs")
    (folder / "000.part").mkdir()
    cv2.imwrite(str(folder / "map.png"), edited)
    with pytest.raises(UserError, match="is not empty; pass --overwrite"):
        fuse_files(str(short), str(short), str(folder), network="average")
    fuse_files(str(short), str(short), str(folder), network="average", overwrite=True)
    theirs = {"005.png", "notes.txt", "000.part", "map.png"}  # 005 was changed since: not ours
    assert set(names(folder)) == {"002.png", "003.png", "004.png"} | theirs
    for number in (2, 3, 4):
        fused = cv2.imread(str(folder / f"{number:03}.png"), cv2.IMREAD_UNCHANGED)
        given = cv2.imread(str(short / f"{number:03}.png"), cv2.IMREAD_UNCHANGED)
        assert (fused == given).all()
        assert is_unchanged_frame(folder / f"{number:03}.png")


def test_a_rerun_that_fails_leaves_the_folder_as_it_was(tmp_path, here, stills, names):
    good, bad = stills(tmp_path / "good", 5), stills(tmp_path / "bad", 5, damaged=(3,))
    folder = here / "out"
    fuse_files(str(good), str(good), str(folder), network="average")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(EndedEarlyError, match=r"out/out\.part has 3 of 5 frames"):
        fuse_files(str(bad), str(bad), str(folder), network="average", overwrite=True)
    kept = folder / "out.part"
    assert names(kept) == ["000.png", "001.png", "002.png"]
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_an_empty_folder_is_filled_and_keeps_its_mode(tmp_path, here, stills, names):
    vi = stills(tmp_path / "vi", 2)
    folder = here / "out"
    folder.mkdir(mode=0o700)
    fuse_files(str(vi), str(vi), str(folder), network="average")
    assert names(folder) == ["000.png", "001.png"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_frame_that_appears_in_an_empty_folder_stays(tmp_path, here, stills, names):
    vi = stills(tmp_path / "vi", 3)
    folder = here / "out"
    folder.mkdir()
    (theirs := folder / "002.png").symlink_to("nowhere")
    theirs.unlink()

    def somebody_else():
        theirs.write_bytes(b"theirs")

    with pytest.raises(EndedEarlyError, match=r"002\.png appeared meanwhile.*out\.part has 3"):
        fuse_files(str(vi), str(vi), str(folder), network="average", on_frame=somebody_else)
    assert theirs.read_bytes() == b"theirs"
    assert names(folder / "out.part") == ["000.png", "001.png", "002.png"]
