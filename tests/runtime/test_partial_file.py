"""Recordings grow under a partial name of their own, locked until they end."""

import errno
import fcntl
import os

import pytest

from mgdn_edge.runtime import partial_file
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.partial_file import PartialFile, PartialFolder
from mgdn_edge.runtime.whole_file import Output


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def never(path):
    return False


def begun(partial):
    partial.begin()
    return partial


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp4", ["a.part.mp4", "a.part2.mp4", "a.part3.mp4"]),
        ("a.b.MKV", ["a.b.part.MKV", "a.b.part2.MKV", "a.b.part3.MKV"]),
        ("[x] *.mp4", ["[x] *.part.mp4", "[x] *.part2.mp4", "[x] *.part3.mp4"]),
    ],
)
def test_names_keep_their_suffix_and_are_numbered(tmp_path, name, expected):
    for partial in (PartialFile(Output(tmp_path / name, "OUTPUT")) for _ in range(3)):
        partial.begin()
        partial.leave(empty=False)
    assert names(tmp_path) == expected


def test_the_longest_name_has_a_partial_one(tmp_path):
    output = Output(tmp_path / ("x" * 251 + ".mp4"), "OUTPUT")
    partial = begun(PartialFile(output))
    assert len(partial.path.name) == 255 and partial.path.suffix == ".mp4"
    with pytest.raises(UserError, match="being written by another run"):
        PartialFile(output).begin()
    partial.complete()
    assert names(tmp_path) == [output.path.name]


def test_a_lock_behind_a_gap_in_the_numbers_still_counts(tmp_path):
    output = Output(tmp_path / "a.mp4", "OUTPUT")
    (tmp_path / "a.part.mp4").write_bytes(b"stale")
    running = begun(PartialFile(output))
    (tmp_path / "a.part.mp4").unlink()
    with pytest.raises(UserError, match=r"another run \(as .*a\.part2\.mp4\)"):
        PartialFile(output).begin()
    assert names(tmp_path) == ["a.part2.mp4"]
    running.leave(empty=True)
    assert names(tmp_path) == []


def test_a_name_that_ends_alike_is_another_recording(tmp_path):
    running = begun(PartialFile(Output(tmp_path / "cam.a.mp4", "OUTPUT")))
    other = begun(PartialFile(Output(tmp_path / "a.mp4", "OUTPUT")))
    for partial in (running, other):
        partial.complete()
    assert names(tmp_path) == ["a.mp4", "cam.a.mp4"]


def test_without_locks_names_keep_runs_apart(tmp_path, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    output = Output(tmp_path / "a.mp4", "OUTPUT")
    first, second = begun(PartialFile(output)), begun(PartialFile(output))
    first.complete()
    with pytest.raises(UserError, match=r"a\.mp4 appeared meanwhile and stays"):
        second.complete()
    second.leave(empty=False)
    assert names(tmp_path) == ["a.mp4", "a.part2.mp4"]


def test_a_turn_that_does_not_come_is_not_waited_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(partial_file, "TURN_SECONDS", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    begun(PartialFile(Output(tmp_path / "a.mp4", "OUTPUT"))).complete()
    os.close(descriptor)
    assert names(tmp_path) == ["a.mp4"]


def test_a_folder_grows_beside_a_new_name_and_inside_an_old_one(tmp_path):
    output = Output(tmp_path / "out", "OUTPUT", replaces=True)
    new = begun(PartialFolder(output, never))
    assert new.path == tmp_path / "out.part"
    (new.path / "1.png").write_bytes(b"1")
    new.names.add("1.png")
    new.complete()
    again = begun(PartialFolder(output, never))
    assert again.path == tmp_path / "out" / "out.part"
    again.leave(empty=True)
    assert names(tmp_path / "out") == ["1.png"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_takes_the_folders_name_meanwhile_stays(tmp_path, what):
    partial = begun(PartialFolder(Output(tmp_path / "out", "OUTPUT"), never))
    (partial.path / "1.png").write_bytes(b"ours")
    partial.names.add("1.png")
    if what == "file":
        (tmp_path / "out").write_bytes(b"theirs")
    else:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "1.png").write_bytes(b"theirs")
    with pytest.raises(UserError, match="appeared meanwhile and stays"):
        partial.complete()
    partial.leave(empty=False)
    assert (partial.path / "1.png").read_bytes() == b"ours"


def test_the_folder_here_has_a_name_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    partial = begun(PartialFolder(Output(tmp_path.__class__("."), "OUTPUT"), never))
    assert partial.path == tmp_path / f"{tmp_path.name}.part"
    partial.leave(empty=True)
