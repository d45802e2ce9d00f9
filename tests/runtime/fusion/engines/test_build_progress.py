"""Phases become one share that never goes back and a time that says something."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgdn_edge.runtime.fusion.engines.build_progress import (
    BuildProgress,
    remaining_seconds,
    show_build,
)
from mgdn_edge.runtime.fusion.engines.build_protocol import (
    Built,
    PhaseBegun,
    PhaseEnded,
    StageBegun,
    StepDone,
    decode_event,
    encode_event,
)

BUILD = [
    (StageBegun("building"), "building", 0.0),
    (PhaseBegun("root", "", 2), "root", 0.0),
    (PhaseBegun("inner", "root", 4), "inner", 0.0),
    (StepDone("inner", 0), "inner", 1 / 8),
    (StepDone("inner", 2), "inner", 3 / 8),  # steps may be left out
    (PhaseEnded("inner"), "inner", 3 / 8),
    (StepDone("root", 0), "inner", 1 / 2),
    (PhaseBegun("other", "root", 1), "other", 1 / 2),
    (PhaseBegun("deep", "other", 2), "deep", 1 / 2),
    (StepDone("deep", 0), "deep", 3 / 4),
    (StepDone("unknown", 5), "deep", 3 / 4),
    (PhaseEnded("unknown"), "deep", 3 / 4),
    (PhaseEnded("other"), "deep", 3 / 4),  # ends its inner phases too
    (Built(3, 1.0), "deep", 1.0),
]


def test_nested_phases_are_one_share():
    progress = BuildProgress()
    for event, phase, share in BUILD:
        progress.add(event)
        assert (progress.phase, progress.share) == (phase, pytest.approx(share)), event


NAMES = st.sampled_from(["a", "b", "c"])
EVENTS = st.one_of(
    st.builds(PhaseBegun, NAMES, st.sampled_from(["", "a", "b"]), st.integers(-1, 5)),
    st.builds(StepDone, NAMES, st.integers(-1, 9)),
    st.builds(PhaseEnded, NAMES),
    st.builds(StageBegun, NAMES),
)


@given(st.lists(EVENTS))
def test_no_order_of_events_breaks_the_share(events):
    progress, before = BuildProgress(), 0.0
    for event in events:
        progress.add(event)
        assert before <= progress.share <= 1
        before = progress.share


@pytest.mark.parametrize("event", [event for event, _, _ in BUILD])
def test_events_survive_the_pipe(event):
    line = encode_event(event)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode_event(line) == event


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


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_phase_and_time(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with show_build("net 640x480", expected=60.0) as show:
        for event, _, _ in BUILD[:-1]:
            show(event)
    text = screen.getvalue()
    assert "net 640x480: deep" in text and "75 %" in text and "about 60 s left" in text


def test_elsewhere_nothing_is_shown(capfd):
    with show_build("net") as show:
        show(BUILD[0][0])
    assert capfd.readouterr() == ("", "")
