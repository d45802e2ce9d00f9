"""Each wait and each record of the session is needed: without one, the stand-in objects.

Once with the stand-in's detector, once by what the frames then hold.
"""

import numpy as np
import pytest
from support.stand_in_device import BrokenRuleError

from mgdn_edge.runtime.fusion.cuda.calls import Cuda


def leave_out(monkeypatch, session, method, position):
    """The call of that number, of each frame, is not made."""
    original, counts = getattr(Cuda, method), {}

    def call(self, *arguments):
        frame = counts.setdefault("frame", [0])
        frame[0] += 1
        if (frame[0] - 1) % counts["a frame"] != position:
            original(self, *arguments)

    counts["a frame"] = {"wait": 2, "record": 5}[method]
    monkeypatch.setattr(Cuda, method, call)


MUTATIONS = [
    ("wait", 0, "the network starts before its inputs have come"),
    ("wait", 1, "the fused plane is fetched before it is there"),
    ("record", 1, "copied_in never happens anew"),
    ("record", 3, "inferred never happens anew"),
]


def fuse_all(session, scenes):
    return [session.fuse(*scene) for scene in scenes]


@pytest.mark.parametrize(("method", "position", "why"), MUTATIONS)
@pytest.mark.parametrize("detect", [True, False])
def test_leaving_one_out_is_found(
    open_engine, make_stand_in, monkeypatch, scenes, fused_by_hand, method, position, why, detect
):
    cuda = make_stand_in(detect=detect)
    session = open_engine(cuda=cuda, memory="pinned")
    session.acquire((12, 16)).release()
    with monkeypatch.context() as patch:
        leave_out(patch, session, method, position)
        if detect:
            with pytest.raises(BrokenRuleError, match="without an event between them"):
                fuse_all(session, scenes)
        else:
            fused = fuse_all(session, scenes)
            right = [fused_by_hand(*scene) for scene in scenes]
            assert any((ours != theirs).any() for ours, theirs in zip(fused, right, strict=True))


def test_collecting_without_waiting_finds_an_old_frame(
    open_engine, stand_in, monkeypatch, scenes, fused_by_hand
):
    session = open_engine(memory="mapped")
    session.acquire((12, 16)).release()
    with monkeypatch.context() as patch:
        patch.setattr(Cuda, "wait_on_host", lambda self, event: None)
        patch.setattr(Cuda, "milliseconds", lambda self, start, end: 0.0)
        assert (session.fuse(*scenes[1]) != fused_by_hand(*scenes[1])).any()


def test_two_contexts_worth_of_work_in_one_is_a_race(open_engine, stand_in, scenes):
    session = open_engine(memory="mapped", cuda_graph=False)
    session.acquire((12, 16)).release()
    with session.acquire((12, 16)) as first, session.acquire((12, 16)) as second:
        session.submit(first)
        session.stream = session._copy_out
        with pytest.raises(BrokenRuleError, match="inference writes what inference writes"):
            session.submit(second)
        session.stream = session._streams[1]


def test_a_leak_is_found(open_engine, stand_in, monkeypatch, scenes):
    session = open_engine(memory="pinned")
    session.fuse(*scenes[0])
    with monkeypatch.context() as patch:
        patch.setattr(Cuda, "free", lambda self, address: None)
        session.close()
    with pytest.raises(AssertionError, match=r"not freed.*device"):
        stand_in.assert_all_freed()
    for memory in stand_in.device.memories:
        if not memory.freed and memory.kind == "device":
            stand_in.cudaFree(memory.address)


def test_frames_are_right_where_nothing_is_left_out(
    open_engine, make_stand_in, scenes, fused_by_hand
):
    session = open_engine(cuda=make_stand_in(detect=False), memory="pinned")
    for fused, scene in zip(fuse_all(session, scenes), scenes, strict=True):
        np.testing.assert_array_equal(fused, fused_by_hand(*scene))
