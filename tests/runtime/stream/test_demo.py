"""The demonstration leaves what the README promises."""

import json
import os
from pathlib import Path

import cv2
import pytest
from support.progress import Told

from mgdn_edge.runtime.capture.sources import open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.stream import demo
from mgdn_edge.runtime.synthetic import open_rig


@pytest.fixture
def short_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "FRAMES", 6)
    monkeypatch.setattr(demo, "PICTURE_FRAME", 3)
    monkeypatch.setattr(demo, "DEFAULT_NETWORK", "laplacian")


def test_the_demo_leaves_a_clip_a_picture_and_figures(short_demo: None, tmp_path: Path) -> None:
    done: list[None] = []
    told = Told(lambda: done.append(None))
    summary = demo.run_demo(tmp_path / "new" / "out", progress=told)
    assert summary.frames.in_ == summary.frames.out == 6
    assert told.steps == [("filming", 12), ("fusing", 6)] and len(done) == 18
    assert [sentence.split()[0] for sentence in told.said] == ["filming", "fusing"]
    with open_visible(str(tmp_path / "new/out/demo.mp4")) as clip:
        assert clip.info.frames == 6 and clip.info.size == (480, 640)
    picture = cv2.imread(str(tmp_path / "new/out/demo.png"))
    assert picture.shape == (480, 3 * 640, 3)
    figures = json.loads((tmp_path / "new/out/demo.json").read_text())
    assert figures["frames"] == {"in": 6, "out": 6, "dropped": 0}


def test_the_picture_shows_everybody_and_every_word() -> None:
    truth = open_rig(demo.SCENE).truth(demo.PICTURE_FRAME)
    assert len(truth.people) == 4 and len(truth.words) == 3
    assert min(int(mask.sum()) for mask in truth.people) > 300


def test_an_unwritable_folder_is_named(short_demo: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        demo.run_demo(tmp_path / "file")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_rerun_replaces_its_own_files_and_nobody_elses(short_demo: None, tmp_path: Path) -> None:
    demo.run_demo(tmp_path)
    assert sorted(contents(tmp_path)) == sorted([*demo.FILES, demo.FIGURES])
    (tmp_path / "notes.txt").write_text("theirs")
    for name in demo.FILES:
        os.utime(tmp_path / name, (0, 0))
    demo.run_demo(tmp_path)
    assert all((tmp_path / name).stat().st_mtime > 0 for name in demo.FILES)
    (tmp_path / "demo.png").write_bytes(b"theirs now")
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"demo\.png exists; pass --overwrite"):
        demo.run_demo(tmp_path)
    assert contents(tmp_path) == before
    demo.run_demo(tmp_path, overwrite=True)
    assert contents(tmp_path)["demo.png"] != b"theirs now"
    assert contents(tmp_path)["notes.txt"] == b"theirs"


@pytest.mark.parametrize("name", ["demo.json", "visible.mp4"])
def test_a_folder_of_somebody_elses_is_left_alone(
    short_demo: None, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=rf"OUT .*{name} exists; pass --overwrite"):
        demo.run_demo(tmp_path)
    assert contents(tmp_path) == {name: b"{}"}


def test_an_interrupted_demonstration_leaves_nothing(short_demo: None, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.run_demo(tmp_path, progress=Told(interrupt))
    assert list(tmp_path.iterdir()) == []
