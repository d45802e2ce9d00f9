"""The one bar: on a terminal's stderr alone, gone when a step is over; sentences everywhere."""

import io
import re
import sys

import pytest

from mgdn_edge.runtime.commands.progress import (
    describe_seconds,
    describe_step,
    remaining_seconds,
    show_progress,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def use_terminal(monkeypatch):
    """``use_terminal()``: stderr becomes a terminal of 120 columns; what it gets is in the result.

    To be called in the test: pytest's capture changes stderr between a fixture and its test.
    """

    def use():
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        return screen

    return use


def plain(screen):
    """Its text without what moves the cursor and colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


def use(progress):
    progress.begin("fusing", 4)
    progress.advance()
    progress.advance(2)
    progress.tell("drifted by [2 px]")
    progress.begin("net 640x480", 1.0, 60.0)
    progress.advance(0.75, "deep")
    progress.done()
    progress.tell("kept")


def test_a_terminal_shows_steps_and_sentences(use_terminal):
    screen = use_terminal()
    with show_progress(bars=True) as progress:
        use(progress)
    shown = plain(screen)
    assert re.search(r"fusing +3/4, [\d.]+/s, about 0 s left", shown)
    assert re.search(r"net 640x480: deep +75 %, about 60 s left", shown)
    assert "drifted by [2 px]" in shown and shown.rstrip().endswith("kept")


def test_a_step_of_unknown_length_has_a_spinner_and_its_time(use_terminal):
    screen = use_terminal()
    with show_progress(bars=True) as progress:
        progress.begin("looking at the pairs")
        progress.advance(7)
    assert re.search(r"looking at the pairs +7, [\d.]+/s, 0 s", plain(screen))


def test_nothing_is_drawn_before_the_first_step(use_terminal):
    screen = use_terminal()
    with show_progress(bars=True) as progress:
        progress.advance()
        progress.done()
        assert screen.getvalue() == ""  # so a question may be asked


def test_an_error_takes_the_bar_away(use_terminal):
    screen = use_terminal()
    with pytest.raises(ValueError, match="stop"), show_progress(bars=True) as progress:
        progress.begin("fusing", 4)
        raise ValueError("stop")
    assert sys.stderr is screen and screen.getvalue().endswith("\x1b[2K")


def test_json_has_no_bar_and_its_sentences(use_terminal):
    screen = use_terminal()
    with show_progress(bars=False) as progress:
        use(progress)
    assert screen.getvalue() == "drifted by [2 px]\nkept\n"


def test_a_pipe_has_no_bar_and_its_sentences(capfd):
    with show_progress(bars=True) as progress:
        use(progress)
    assert capfd.readouterr() == ("", "drifted by [2 px]\nkept\n")


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "seconds", "words"),
    [
        (0, None, 3.0, None, "3 s"),
        (12, None, 4.0, None, "12, 3.0/s, 4 s"),
        (0, 100, 0.4, None, "0/100, 0 s"),
        (25, 100, 5.0, None, "25/100, 5.0/s, about 15 s left"),
        (0.25, 1.0, 900.0, None, "25 %, about 45 min left"),
        (15.0, 60.0, 15.0, None, "25 %, about 45 s left"),
        (0.0, 1.0, 10.0, 60.0, "0 %, about 50 s left"),
    ],
)
def test_a_step_says_how_far_how_fast_and_how_long_still(done, total, elapsed, seconds, words):
    assert describe_step(done, total, elapsed, seconds) == words


@pytest.mark.parametrize(
    ("share", "elapsed", "expected", "left"),
    [
        (0.0, 5.0, None, None),
        (0.04, 5.0, None, None),
        (0.25, 5.0, None, 15.0),
        (1.0, 5.0, None, 0.0),
        (0.9, 5.0, 60.0, 55.0),  # an earlier build knows better
        (0.5, 70.0, 60.0, 70.0),  # until it is proved wrong
    ],
)
def test_the_time_left(share, elapsed, expected, left):
    assert remaining_seconds(share, elapsed, expected) == left


def test_seconds_become_minutes():
    assert [describe_seconds(each) for each in (0.4, 119, 120, 5400)] == [
        "0 s", "119 s", "2 min", "90 min",
    ]  # fmt: skip
