"""Phases become one share of a step that never goes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.progress import Told

from mgdn_edge.runtime.fusion.engines.build_progress import BuildProgress, follow_build
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


def test_a_build_is_one_step_with_its_phase():
    told = Told()
    follow = follow_build(told, "net 640x480", 60.0)
    for event, _, share in BUILD:
        follow(event)
        assert told.parts == pytest.approx(share)
    assert told.steps == [("net 640x480", 1.0)] and told.open
    assert told.doing[0] == "building" and told.doing[-1] == "deep"
