"""Contenders in turns: times, memory and failures of processes of their own."""

import os
import time

import numpy as np
from support.progress import Told

from mgdn_edge.runtime.measure.turns import KEPT_PAGES, Contender, take_turns

MIB = 1 << 20


def prepare_sleep(milliseconds):
    return lambda: time.sleep(milliseconds / 1e3)


def prepare_memory(mebibytes):
    operand = np.ones(8 * MIB, np.uint8)
    return lambda: np.ones(mebibytes * MIB, np.uint8).sum() + operand[0]


def prepare_nothing():
    raise ImportError("no such package")


def prepare_death():
    return lambda: os.kill(os.getpid(), 9)


def prepare_environment():
    missing = [name for name in KEPT_PAGES if name not in os.environ]
    if missing:
        raise ValueError(f"{missing} not set")
    return lambda: None


def test_times_are_each_contenders_own_and_turns_alternate():
    told = Told()
    quick, slow = take_turns(
        [Contender("quick", prepare_sleep, (1,)), Contender("slow", prepare_sleep, (30,))],
        rounds=3,
        progress=told,
    )
    assert told.doing == ["quick", "slow"] * 4 and told.parts == 8
    assert len(quick.wall_ns) == len(slow.cpu_ns) == 3
    assert min(slow.wall_ns) >= 30e6 > min(quick.wall_ns) >= 1e6
    # Processor time, not wall time: sleeping takes none. The least of them, because threads that
    # numpy's BLAS starts spin for a while at first.
    assert min(slow.cpu_ns) < 30e6


def test_extra_memory_leaves_operands_out():
    little, much = take_turns(
        [Contender(str(size), prepare_memory, (size,)) for size in (1, 100)], rounds=2
    )
    assert 100 * MIB <= much.extra_bytes < 110 * MIB
    assert little.extra_bytes < 10 * MIB
    assert much.peak_bytes > much.extra_bytes + 8 * MIB


def test_one_that_fails_says_why_and_the_others_go_on():
    absent, dead, fine = take_turns(
        [
            Contender("absent", prepare_nothing),
            Contender("dead", prepare_death),
            Contender("fine", prepare_sleep, (1,)),
        ],
        rounds=2,
    )
    assert absent.failure == "ImportError: no such package"
    assert dead.failure == "its process ended with -9 (killed, probably for memory)"
    assert absent.wall_ns == dead.wall_ns == []
    assert fine.failure is None and len(fine.wall_ns) == 2


def test_pages_are_kept_in_the_children_only():
    before = dict(os.environ)
    (kept,) = take_turns([Contender("kept", prepare_environment)], rounds=1)
    assert kept.failure is None
    assert dict(os.environ) == before
