"""docs/ARCHITECTURE.md: its files exist, its rooms are the floors', and a frame walks its way."""

import os
import re
import sys
import threading
import time
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.alignment_rigs import rig_for
from test_floors import FLOORS

from mgdn_edge.cli import main
from mgdn_edge.runtime.alignment.apply.rig_text import write_rig
from mgdn_edge.runtime.alignment.drift import DriftMonitor
from mgdn_edge.runtime.capture.cameras import v4l2

SIZE = (48, 64)  # (height, width) of both stand-in cameras


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "ARCHITECTURE.md").read_text()


def section(page: str, title: str) -> str:
    (text,) = re.findall(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL
    )
    return text


def steps(page: str, title: str) -> list[tuple[str, str]]:
    """(file, function or "") of each numbered step."""
    return re.findall(r"^\d+\. `([\w/]+\.py)`(?: `(\w+)`)?", section(page, title), re.MULTILINE)


def test_every_file_it_names_exists(repository: Path, page: str) -> None:
    named = re.findall(r"`((?:src|runtime|export|calibration|plugins|tests)/[\w/.]*)`", page)
    assert len(named) > 80
    assert [name for name in named if not (repository / name).exists()] == []


@pytest.mark.parametrize("title", ["One frame's walk", "One checkpoint's walk"])
def test_a_walk_names_each_file_once(page: str, title: str) -> None:
    files = [file for file, _ in steps(page, title)]
    assert len(files) == len(re.findall(r"^\d+\. ", section(page, title), re.MULTILINE)) >= 30
    assert sorted(files) == sorted(set(files))


def test_the_rooms_are_those_of_the_floors(page: str) -> None:
    rows = re.findall(
        r"^\| (\d+) \| `(\w+)` \|", section(page, "The rooms of runtime/"), re.MULTILINE
    )
    told = [(int(floor), room) for floor, room in rows]
    assert told == [(floor, room) for floor, rooms in enumerate(FLOORS, 1) for room in rooms]


class StandInCapture:
    """A driver that fills a grey buffer thirty times a second; the infrared one wakes up later."""

    format, size, stride, fps = "GREY", SIZE, 0, Fraction(30)

    def __init__(self, path, options, preferred):
        self._sleepy = preferred == v4l2.PREFERRED["infrared"]

    def buffers(self):
        time.sleep(0.5 * self._sleepy)
        for number in count():
            grey = np.full(SIZE, 100 + number % 50, np.uint8)
            yield SimpleNamespace(data=grey.tobytes(), timestamp=time.monotonic())
            time.sleep(1 / 30)

    def close(self):
        pass


class StandInReader(v4l2.V4l2Reader):
    def __init__(self, uri, camera):
        super().__init__(uri, camera, StandInCapture)


def first_calls(repository: Path, run) -> list[tuple[str, str]]:
    """Run, and tell (file, function) in the order in which they were first called by any thread."""
    order: dict[tuple[str, str], None] = {}

    def note(frame, event, _):
        if event == "call" and "mgdn_edge" in frame.f_code.co_filename:
            path = os.path.relpath(os.path.realpath(frame.f_code.co_filename), repository)
            order.setdefault((path, frame.f_code.co_name))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(order)


def test_the_frame_walks_as_it_says(repository, page, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(v4l2, "V4l2Reader", StandInReader)
    # Its check remaps a pair too, on a thread of its own: before or after the stream's.
    monkeypatch.setattr(DriftMonitor, "_check", lambda self, pair: None)
    write_rig(tmp_path / "rig.toml", rig_for(np.eye(3), SIZE, SIZE))
    (told,) = re.findall(
        r"`mgdn (fuse v4l2\S+ .*)`,$", section(page, "One frame's walk"), re.MULTILINE
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mgdn", *told.split(), "--frames", "1"])

    def run():
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0, capsys.readouterr().err

    called = first_calls(repository, run)
    walk = steps(page, "One frame's walk")
    assert [step for step in walk if step not in called] == []
    went = [step for step in called if step in walk]
    assert went == walk, "\n".join(["it went:", *(f"`{file}` `{name}`" for file, name in went)])
