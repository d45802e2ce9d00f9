"""Arguments of data: one grammar for all commands, and errors list its forms."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import (
    FORMS,
    Recording,
    has_manifest,
    list_recordings,
    read_frame_pairs,
    recording_files,
)

HEADER = "dataset,name,ir,vi,split\n"
STEMS = ("a", "b", "c")


def plane(seed: int, size=(12, 16)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A folder with three pairs of images in vi and ir; every plane is another."""
    for offset, stream in enumerate(("vi", "ir")):
        (tmp_path / "day" / stream).mkdir(parents=True)
        for number, stem in enumerate(STEMS):
            path = tmp_path / "day" / stream / f"{stem}.png"
            cv2.imwrite(str(path), plane(2 * number + offset))
    return tmp_path / "day"


@pytest.fixture
def listed(day: Path) -> Path:
    """The same with a manifest: a and b to learn from, in two sets, c to judge on."""
    rows = [("north", "a", "train"), ("south", "b", "train"), ("south", "c", "val")]
    lines = [f"{name},{stem},ir/{stem}.png,vi/{stem}.png,{split}\n" for name, stem, split in rows]
    (day / "manifest.csv").write_text(HEADER + "".join(lines))
    return day


def names(text: str | Path, split="train") -> list[str]:
    return [each.name for each in list_recordings(str(text), split)]


def read(text: str | Path) -> list:
    return list(read_frame_pairs(list_recordings(str(text), "train")))


@pytest.mark.parametrize(
    ("visible", "infrared"), [("vi", "ir"), ("visible", "infrared"), ("VIS", "IR")]
)
def test_a_folder_of_two_folders(day, visible, infrared):
    (day / "vi").rename(day / visible)
    (day / "ir").rename(day / infrared)
    found = read(day)
    assert [pair.name for pair in found] == ["day/a", "day/b", "day/c"]
    for number, pair in enumerate(found):
        assert np.array_equal(pair.visible, plane(2 * number))
        assert np.array_equal(pair.infrared, plane(2 * number + 1))


def test_a_folder_of_two_clips_or_images_and_two_paths(tmp_path, write_clip):
    clips = [write_clip(tmp_path / f"{stream}.mkv", neutral=True) for stream in ("vi", "ir")]
    for text in (tmp_path, ",".join(map(str, clips)), f" {clips[0]} , {clips[1]} "):
        (recording,) = list_recordings(str(text), "val")
        assert (recording.visible, recording.infrared) == tuple(map(str, clips))
        assert recording_files([recording]) == clips
    found = read(f"{clips[0]},{clips[1]}")
    assert [pair.name for pair in found[:2]] == ["vi/000000", "vi/000001"]
    for stream, clip in zip(("vi", "ir"), clips, strict=True):
        clip.unlink()
        cv2.imwrite(str(tmp_path / f"{stream}.png"), plane(1))
    assert [pair.name for pair in read(tmp_path)] == [tmp_path.name]  # one pair has no number


def test_uris_are_recordings_too():
    scene = "synthetic://night?size=32x24&frames=2"
    assert len(read(f"{scene},{scene}")) == 2
    assert recording_files(list_recordings(f"{scene},{scene}", "train")) == []


def test_a_manifests_folder_stands_for_the_split_that_is_wanted(listed):
    assert names(listed, "train") == ["north/a", "south/b"]
    assert names(listed, "val") == ["south/c"]
    (first, _) = list_recordings(str(listed), "train")
    paths = (str(listed / "vi/a.png"), str(listed / "ir/a.png"))
    assert first == Recording("north/a", *paths, "north", listed)
    assert has_manifest(str(listed)) and not has_manifest(f"{listed}#north")
    files = recording_files([first])
    assert files == [*map(Path, paths), listed / "manifest.csv"]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("south:train", ["south/b"]),
        ("south", ["south/b", "south/c"]),
        (":val", ["south/c"]),
        ("", ["north/a", "south/b", "south/c"]),
    ],
)
@pytest.mark.parametrize("split", ["train", "val"])
def test_rows_that_are_named_are_those_whatever_split_is_wanted(listed, rows, found, split):
    assert names(f"{listed}#{rows}", split) == found


def test_every_form_gives_the_same_planes(listed):
    forms = (f"{listed}#", f"{listed / 'vi'},{listed / 'ir'}")
    planes = [[(pair.visible, pair.infrared) for pair in read(form)] for form in forms]
    (listed / "manifest.csv").unlink()
    planes.append([(pair.visible, pair.infrared) for pair in read(listed)])
    for one, other in itertools.pairwise(planes):
        np.testing.assert_array_equal(one, other)


def test_existing_files_are_themselves_whatever_their_names_hold(day):
    for name in ("a#b", "a,b"):
        renamed = day.rename(day.with_name(name))
        assert names(renamed) == [name]
        day = renamed


def test_rows_that_lack_one_camera_are_no_pairs(listed):
    with (listed / "manifest.csv").open("a") as file:
        file.write("south,d,ir/d.png,,train\nsouth,e\n")
    assert names(f"{listed}#") == ["north/a", "south/b", "south/c"]


def test_rows_that_are_not_there(listed):
    with pytest.raises(UserError, match="no pair with dataset=south and split=test; it has: north"):
        names(f"{listed}#south:test")
    (listed / "manifest.csv").write_text(HEADER)
    for text in (listed, f"{listed}#"):
        with pytest.raises(UserError, match=r"has no pair.*; it has: none"):
            names(text)
        assert list_recordings(str(text), "val", may_lack=True) == []


def test_a_listed_file_that_is_not_there(listed):
    (listed / "ir" / "b.png").unlink()
    with pytest.raises(UserError, match=r"ir/b\.png is in .*manifest\.csv but not on disk"):
        names(listed)
    assert names(listed, "val") == ["south/c"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"dataset,name,visible\n", "lacks the columns ir, vi, split; its first line must name"),
        (b"", "lacks the columns dataset, name, ir, vi, split"),
        (HEADER.encode() + b"\xff,a,b,c,train\n", "cannot read"),
        (HEADER.encode() + b'"' + b"x" * 200_000, "cannot read"),
    ],
)
def test_a_manifest_that_cannot_be_read(day, data, message):
    (day / "manifest.csv").write_bytes(data)
    with pytest.raises(UserError, match=message):
        names(day)


@pytest.mark.parametrize(
    "text", ["nowhere", "", "a,b,c", "nowhere#x:train", "nowhere#", "x" * 5000, "a\0b", __file__]
)
def test_what_is_of_no_form_is_told_the_forms(text):
    with pytest.raises(UserError) as caught:
        list_recordings(text, "train")
    assert FORMS in str(caught.value)
    for form in ("vi and ir", "vi.mp4,ir.mp4", "manifest.csv", "FOLDER#SET:SPLIT"):
        assert form in FORMS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ir.mp4,vi.mp4", "the visible recording comes first: vi.mp4,ir.mp4"),
        ("day/infrared/1.png,day/vis/1.png", "comes first"),
    ],
)
def test_exchanged_cameras_are_noticed_by_their_names(text, message):
    with pytest.raises(UserError, match=message):
        list_recordings(text, "train")


def test_a_folder_with_none_or_two_of_a_camera(day):
    (day / "visible.mp4").touch()
    with pytest.raises(UserError, match="holds both vi and visible"):
        names(day)
    (day / "visible.mp4").unlink()
    (day / "ir").rename(day / "heat")
    with pytest.raises(UserError, match="holds no ir; one folder or file named ir or infrared"):
        names(day)


def test_recordings_of_two_lengths(tmp_path, write_clip):
    long = write_clip(tmp_path / "vi.mkv", frames=5, neutral=True)
    short = write_clip(tmp_path / "ir.mkv", frames=3, neutral=True)
    recordings = [Recording("", str(long), str(short))]
    found = list(read_frame_pairs(recordings, shortest=True))
    assert [pair.name for pair in found] == ["0", "1", "2"]
    with pytest.raises(UserError, match="--shortest"):
        list(read_frame_pairs(recordings))
