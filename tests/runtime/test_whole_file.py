"""Whoever owns a file decides: what exists stays unless they say otherwise."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from mgdn_edge.runtime import whole_file
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import Output, Outputs, write_whole


@pytest.fixture
def old(tmp_path):
    """A file that somebody has."""
    path = tmp_path / "old.json"
    path.write_bytes(b"theirs")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_exists_is_replaced_only_where_its_owner_agreed(old):
    with pytest.raises(UserError, match=r"--trace .*old\.json exists; pass --overwrite"):
        Outputs([]).claim(old, "--trace", ".json")
    with pytest.raises(UserError, match="stays as it is; give another --trace"):
        Outputs([], lambda path: False).claim(old, "--trace", ".json")
    asked = []
    agreed = Outputs([], lambda path: not asked.append(path)).claim(old, "--trace", ".json")
    assert asked == [old]
    agreed.write(b"ours")
    assert old.read_bytes() == b"ours"
    Outputs([], overwrite=True).claim(old, "--trace", ".json").write(b"again")
    assert old.read_bytes() == b"again"


def test_nobody_is_asked_about_a_new_file(tmp_path):
    Outputs([], lambda path: pytest.fail("asked")).claim(tmp_path / "a.csv", "--x").write(b"1")
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_input_is_never_an_output_whatever_its_name(tmp_path, old, link):
    path = old
    if link is not None:
        path = tmp_path / "other.json"
        link(old, path)
    for overwrite in (True, lambda path: True):
        with pytest.raises(UserError, match=r"would overwrite the input .*old\.json"):
            Outputs([tmp_path / "a.mp4", old], overwrite).claim(path, "--trace", ".json")
    assert old.read_bytes() == b"theirs"


def test_an_input_through_a_link_is_still_an_input(tmp_path, old):
    (tmp_path / "link.json").symlink_to(old)
    with pytest.raises(UserError, match="would overwrite the input"):
        Outputs([tmp_path / "link.json"], overwrite=True).claim(old, "--trace")


def test_an_input_that_does_not_exist_yet_is_none_to_write(tmp_path):
    with pytest.raises(UserError, match="would overwrite the input"):
        Outputs([tmp_path / "a" / ".." / "x.json"]).claim(tmp_path / "x.json", "--trace")


def test_a_file_that_is_to_be_changed_may_be_read(old):
    Outputs([old]).claim(old, "RIG", ".json", updates=True).write(b"more")
    assert old.read_bytes() == b"more"


def test_what_is_ours_is_replaced_unasked_and_is_still_no_input(tmp_path, old):
    asked = []
    Outputs([], asked.append).claim(old, "RIG", ours=True).write(b"more")
    assert old.read_bytes() == b"more" and asked == []
    with pytest.raises(UserError, match="would overwrite the input"):
        Outputs([old]).claim(old, "RIG", ours=True)


def test_an_input_in_a_circle_of_links_is_told_by_who_reads_it(tmp_path):
    (tmp_path / "circle.csv").symlink_to("circle.csv")
    Outputs([tmp_path / "circle.csv"]).claim(tmp_path / "a.csv", "--x").write(b"1")


def test_no_file_is_written_twice(tmp_path):
    outputs = Outputs([])
    outputs.claim(tmp_path / "a.json", "--trace", ".json")
    (tmp_path / "b.json").symlink_to("a.json")
    for name in ("a.json", "b.json"):
        with pytest.raises(UserError, match=r"another file of this run, --trace .*a\.json"):
            outputs.claim(tmp_path / name, "--json")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.txt", r"does not end in \.json"),
        ("folder", r"does not end in \.json"),
        ("folder.json", r"is a folder; name a file in it: .*folder\.json/NAME\.json"),
        ("no/where/a.json", "mkdir -p .*no/where"),
        ("old.json/a.json", "is not a folder"),
        ("dangling.json", "mkdir -p .*nowhere"),
        ("circle.json", "Symlink loop|symbolic link|cannot write"),
        (f"{'x' * 300}.json", "name too long"),
    ],
)
def test_names_that_cannot_become_files_are_refused_before_the_work(tmp_path, old, name, message):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere" / "a.json")
    (tmp_path / "circle.json").symlink_to("circle.json")
    before = names(tmp_path)
    with pytest.raises(UserError, match=f"(?i){message}"):
        Outputs([], overwrite=True).claim(tmp_path / name, "--trace", ".json")
    assert names(tmp_path) == before


def test_suffixes_may_be_several_and_capital(tmp_path):
    for name in ("a.JSON", "b.csv"):
        assert Outputs([]).claim(tmp_path / name, "--x", ".json", ".csv").path.name == name


def test_a_link_stays_and_its_target_is_replaced_with_its_mode(tmp_path, old):
    old.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to("old.json")
    Outputs([], overwrite=True).claim(link, "--trace").write(b"new")
    assert link.is_symlink()
    assert old.read_bytes() == b"new"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    write_whole(link, b"newer")
    assert link.is_symlink() and old.read_bytes() == b"newer"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


def test_a_link_to_nothing_yet_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to("there/a.json")
    Outputs([]).claim(tmp_path / "link.json", "--trace").write(b"new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "there" / "a.json").read_bytes() == b"new"


def test_a_new_file_has_the_usual_mode(tmp_path):
    former = os.umask(0o027)
    try:
        Output(tmp_path / "a", "--x").write(b"1")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def no_links(*arguments, **options):
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appears_meanwhile_stays_and_the_work_is_kept(
    tmp_path, monkeypatch, hard_links
):
    if not hard_links:
        monkeypatch.setattr(os, "link", no_links)
    claimed = Outputs([]).claim(tmp_path / "a.csv", "--x")
    (tmp_path / "a.csv").write_bytes(b"theirs")
    (tmp_path / "a.part.csv").write_bytes(b"of an earlier run")
    with pytest.raises(UserError, match=r"appeared meanwhile and stays.*a\.part2\.csv"):
        claimed.write(b"ours")
    assert names(tmp_path) == ["a.csv", "a.part.csv", "a.part2.csv"]
    contents = [(tmp_path / name).read_bytes() for name in names(tmp_path)]
    assert contents == [b"theirs", b"of an earlier run", b"ours"]


def test_without_hard_links_a_new_file_is_whole_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", no_links)
    Outputs([]).claim(tmp_path / "a.csv", "--x").write(b"ours")
    assert (tmp_path / "a.csv").read_bytes() == b"ours"
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, overwrite):
    if overwrite:
        (tmp_path / "a.csv").write_bytes(b"theirs")
    claimed = Outputs([], overwrite).claim(tmp_path / "a.csv", "--x")

    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=r"cannot write .*a\.csv \(No space left on device\)"):
        claimed.write(b"ours")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"theirs"] * overwrite


def test_no_link_lies_in_wait_for_the_temporary_file(tmp_path, monkeypatch, old):
    monkeypatch.setattr(whole_file.secrets, "token_hex", lambda count: "0" * 2 * count)
    (tmp_path / f".mgdn-{'0' * 16}.part").symlink_to(old)
    with pytest.raises(UserError, match=r"cannot write .*a\.csv \(File exists\)"):
        Outputs([]).claim(tmp_path / "a.csv", "--x").write(b"ours")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a.csv", b"ours")
    assert old.read_bytes() == b"theirs"
    assert not (tmp_path / "a.csv").exists()


def test_longest_names_can_be_written(tmp_path):
    path = tmp_path / ("x" * 251 + ".csv")
    claimed = Outputs([]).claim(path, "--x")
    claimed.write(b"1")
    with pytest.raises(UserError, match="appeared meanwhile"):
        claimed.write(b"2")
    assert len(names(tmp_path)) == 2


def test_devices_and_pipes_are_written_through(tmp_path):
    null = Path("/dev/null")
    Outputs([]).claim(null, "--x").write(b"gone")
    assert null.is_char_device()
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    Outputs([]).claim(pipe, "--trace", ".json").write(b"through")
    reader.join(10)
    assert read == [b"through"]
    assert pipe.is_fifo()


def test_a_folder_that_holds_something_is_somebodys(tmp_path):
    folder = tmp_path / "out"
    Outputs([]).claim_folder(folder, "OUTPUT")
    folder.mkdir()
    assert not Outputs([]).claim_folder(folder, "OUTPUT").replaces
    (folder / "out.part").mkdir()
    (folder / "out.part2").mkdir()
    Outputs([]).claim_folder(folder, "OUTPUT")
    (folder / "notes.txt").write_text("theirs")
    with pytest.raises(UserError, match="is not empty; pass --overwrite"):
        Outputs([]).claim_folder(folder, "OUTPUT")
    assert Outputs([], overwrite=True).claim_folder(folder, "OUTPUT").replaces


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_a_folder_that_holds_an_input_is_not_filled(tmp_path, link):
    folder, given = tmp_path / "out", tmp_path / "1.png"
    folder.mkdir()
    if link is None:
        given = folder / "1.png"
    given.write_bytes(b"theirs")
    if link is not None:
        link(given, folder / "000001.png")
    with pytest.raises(UserError, match=r"would overwrite the input .*1\.png"):
        Outputs([given], overwrite=True).claim_folder(folder, "OUTPUT", ".png")
    Outputs([given], overwrite=True).claim_folder(folder, "OUTPUT", ".jpg")  # not what is written
    with pytest.raises(UserError, match="would overwrite the input"):
        Outputs([folder], overwrite=True).claim_folder(folder, "OUTPUT")
    with pytest.raises(UserError, match="is a file; name a folder"):
        Outputs([]).claim_folder(given, "OUTPUT")
