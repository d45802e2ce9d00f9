"""The one timing loop: order of turns, warm-up, ends, and rows that are a session's own stamps."""

import itertools
import time

import numpy as np
import pytest

from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.measure.timing_loop import (
    SCENES,
    TimingLoop,
    draw_pair,
    draw_pairs,
    fuse_pairs,
    time_call,
)
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.stream.ledger import span_ns

PAIR_SIZE = (48, 64)


def take(loop, *words, **named):
    return list(loop.take_turns(*words, **named))


def lasting(nanoseconds, turns=None):
    """A run of so many nanoseconds, by a clock of its own; it appends to ``turns``."""

    def run(number):
        if turns is not None:
            turns.append((nanoseconds, number))
        return FrameStamps(paired_ns=100, copied_out_ns=100 + nanoseconds)

    return run


def test_all_have_a_turn_before_anybody_has_the_next():
    turns = []
    loop = TimingLoop([lasting(each, turns) for each in (1, 2, 3)])
    assert take(loop, 2) == [1, 2] and take(loop, 1) == [1]
    assert turns == [(each, number) for number in range(3) for each in (1, 2, 3)]
    assert [list(loop.times_ns(index)) for index in range(3)] == [[1] * 3, [2] * 3, [3] * 3]


def test_swapping_lets_each_be_first_in_every_other_turn():
    turns = []
    loop = TimingLoop([lasting(each, turns) for each in (1, 2)], swapping=True)
    loop.warm_up(1)
    take(loop, 3)
    assert [each for each, _ in turns] == [2, 1, 1, 2, 2, 1, 1, 2]
    assert list(loop.times_ns(0)) == [1, 1, 1], "a ledger is one contender's, whatever the order"


def test_the_warm_up_has_rows_and_does_not_count():
    times = itertools.chain([9_000_000] * 2, itertools.repeat(4_000_000))
    loop = TimingLoop([lambda number: FrameStamps(copied_out_ns=next(times))])
    loop.warm_up(2)
    take(loop, 5)
    figures = loop.figures()
    assert (figures.n, figures.warmup, figures.max) == (5, 2, 4.0)
    assert len(loop.rows()) == 5 and len(loop.ledgers[0].rows) == 7


@pytest.mark.parametrize(("seconds", "least", "turns"), [(0.0, 0, 0), (0.0, 3, 3), (60.0, 9, 4)])
def test_it_ends_when_time_is_over_and_there_were_enough(seconds, least, turns):
    assert len(take(TimingLoop([lasting(1)]), 4, seconds=seconds, least=least)) == turns


def test_time_alone_ends_it_too():
    begin = time.monotonic()
    loop = TimingLoop([time_call(lambda: time.sleep(0.005))])
    take(loop, seconds=0.1)
    assert 0.1 <= time.monotonic() - begin < 5
    assert 1 <= len(loop.rows()) <= 20 and loop.times_ns().min() >= 5_000_000


def test_one_that_fails_has_no_rows_and_the_others_go_on():
    loop = TimingLoop([lambda number: None, lasting(7)])
    take(loop, 3)
    assert not len(loop.rows(0)) and list(loop.times_ns(1)) == [7] * 3


def test_what_the_caller_does_between_turns_is_in_no_frame():
    loop = TimingLoop([time_call(lambda: None)])
    for _ in loop.take_turns(3):
        time.sleep(0.02)
    assert np.median(loop.times_ns()) < 10e6


def test_an_interruption_leaves_the_rows_there_are():
    loop = TimingLoop([lasting(1)])
    with pytest.raises(KeyboardInterrupt):
        for done in loop.take_turns():
            if done == 4:
                raise KeyboardInterrupt
    assert len(loop.rows()) == 4


def test_a_session_fuses_its_pairs_in_turn_and_stamps_every_stage():
    pairs, seen = draw_pairs(PAIR_SIZE), []
    with open_session("average") as session:
        wanted = [session.fuse(*pair) for pair in pairs]
        loop = TimingLoop([fuse_pairs(session, pairs, lambda slot: seen.append(slot.fused.copy()))])
        take(loop, SCENES + 1)
    np.testing.assert_array_equal(seen, [*wanted, wanted[0]])
    rows = loop.rows()
    stages = ("align", "copy_in", "infer_wait", "infer", "writer_wait", "copy_out")
    waits = rows["taken_ns"] - rows["paired_ns"]
    total = waits + sum(span_ns(rows, stage) for stage in stages)
    assert (total == loop.times_ns()).all() and (span_ns(rows, "infer") > 0).all()
    assert list(rows["seq"]) == list(range(SCENES + 1))


def test_slots_come_back_when_a_frame_fails():
    def fail(slot):
        raise RuntimeError("no clock")

    with open_session("average") as session:
        run = fuse_pairs(session, draw_pairs(PAIR_SIZE), fail)
        for _ in range(3):  # more than there are slots
            with pytest.raises(RuntimeError, match="no clock"):
                run(0)


def test_drawn_pairs_are_repeatable_and_differ():
    first, again, other = draw_pair((33, 47), 1), draw_pair((33, 47), 1), draw_pair((33, 47), 2)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    assert (first[0] != other[0]).any()
    assert first[0].shape == (33, 47)
    assert first[0].std() > 10
    assert len({pair[0].tobytes() for pair in draw_pairs((33, 47))}) == SCENES
