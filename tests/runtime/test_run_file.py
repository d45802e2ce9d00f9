"""A file written again and again is the run's own from the first time on."""

import pytest

from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.whole_file import Output, Outputs, RunFile, beside


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_replaces_what_it_wrote_and_nothing_else(tmp_path):
    file = RunFile(Outputs([]).claim(tmp_path / "a.png", "OUT"))
    assert not file.written
    for data in (b"1", b"2"):
        file.write(data)
        assert file.written and (tmp_path / "a.png").read_bytes() == data
    (tmp_path / "b.png").write_bytes(b"theirs")
    with pytest.raises(UserError, match="appeared meanwhile and stays"):
        RunFile(Output(tmp_path / "b.png", "OUT")).write(b"ours")
    assert (tmp_path / "b.png").read_bytes() == b"theirs"


def test_a_failure_waits_until_a_later_time_succeeds(tmp_path, fill_disk):
    file = RunFile(Outputs([]).claim(tmp_path / "a.png", "OUT"))
    fill_disk(".png")
    file.try_write(b"1")
    assert names(tmp_path) == []
    with pytest.raises(UserError, match="No space left"):
        file.check()
    fill_disk()
    file.try_write(b"2")
    file.check()
    fill_disk(".png")
    file.try_write(b"3")
    with pytest.raises(UserError, match="No space left"):
        file.check()
    assert (tmp_path / "a.png").read_bytes() == b"2"


def test_the_file_of_another_is_met_once_and_not_each_time(tmp_path):
    file = RunFile(Outputs([]).claim(tmp_path / "a.png", "OUT"))
    (tmp_path / "a.png").write_bytes(b"theirs")
    for data in (b"1", b"2", b"3"):
        file.try_write(data)
    assert names(tmp_path) == ["a.part.png", "a.png"]
    assert not file.written
    with pytest.raises(UserError, match="appeared meanwhile"):
        file.check()
    (tmp_path / "a.png").unlink()
    file.try_write(b"4")
    file.check()
    assert (tmp_path / "a.png").read_bytes() == b"4"


def test_what_fails_beside_says_that_the_main_file_is_there(tmp_path):
    for main, told in (
        (tmp_path / "out.mgdn", r"out\.mgdn is written, but cannot"),
        (None, "^cannot"),
    ):
        with pytest.raises(EndedEarlyError, match=told) as error, beside(main, "figures"):
            raise UserError("cannot write r.html")
        assert (error.value.exit_code, error.value.figures) == (4, "figures")
    with beside(tmp_path / "out.mgdn"):
        pass
