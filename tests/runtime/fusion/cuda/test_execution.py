"""Slots, streams, memory and graphs of a TensorRT session, on the stand-in."""

import threading

import numpy as np
import pytest
from support.cuda_stand_in import CudaStandIn
from support.tensorrt_stand_in import INFER_SECONDS, make_engine

from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

MEMORY = ["pinned", "mapped"]


def fill(slot, scene):
    slot.visible[...] = scene.visible
    slot.infrared[...] = scene.infrared


@pytest.mark.parametrize("cuda_graph", [True, False])
@pytest.mark.parametrize("memory", MEMORY)
def test_frames_are_fused(open_engine, fused_by_hand, scenes, memory, cuda_graph):
    session = open_engine(memory=memory, cuda_graph=cuda_graph)
    for scene in scenes:
        np.testing.assert_array_equal(session.fuse(*scene), fused_by_hand(*scene))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (101, 131)])
@pytest.mark.parametrize("memory", MEMORY)
def test_engines_of_odd_sizes_fuse(open_engine, fused_by_hand, size, memory):
    scene = draw_scene(*size)
    session = open_engine(make_engine(size), memory=memory)
    np.testing.assert_array_equal(session.fuse(*scene), fused_by_hand(*scene))


def test_another_size_is_refused_with_what_to_type(open_engine):
    with pytest.raises(UserError, match=r"frames are 12x16 .* only 16x12; leave --variant out"):
        open_engine().acquire((16, 12))


@pytest.mark.parametrize("cuda_graph", [True, False])
@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("slots", [2, 3, 5])
def test_the_loop_allocates_nothing_and_waits_for_events_alone(
    open_engine, stand_in, fused_by_hand, scenes, memory, cuda_graph, slots
):
    session = open_engine(memory=memory, cuda_graph=cuda_graph, slots=slots)
    session.acquire((12, 16)).release()  # makes the slots
    busy = []
    with stand_in.loop():
        for scene in scenes:
            if len(busy) == slots:
                collect_first(session, busy, fused_by_hand)
            slot = session.acquire((12, 16))
            fill(slot, scene)
            session.submit(slot)
            busy.append((slot, scene))
        while busy:
            collect_first(session, busy, fused_by_hand)


def collect_first(session, busy, fused_by_hand):
    slot, scene = busy.pop(0)
    session.collect(slot)
    np.testing.assert_array_equal(slot.fused, fused_by_hand(*scene))
    slot.release()


def test_frames_may_be_collected_in_any_order(open_engine, fused_by_hand, scenes):
    session = open_engine(slots=4)
    slots = [session.acquire((12, 16)) for _ in range(4)]
    for slot, scene in zip(slots, scenes, strict=False):
        fill(slot, scene)
        session.submit(slot)
    for slot, scene in reversed(list(zip(slots, scenes, strict=False))):
        session.collect(slot)
        np.testing.assert_array_equal(slot.fused, fused_by_hand(*scene))
        slot.release()


def test_a_slot_released_without_collecting_is_finished_first(open_engine, scenes, fused_by_hand):
    session = open_engine()
    with session.acquire((12, 16)) as slot:
        fill(slot, scenes[0])
        session.submit(slot)
    np.testing.assert_array_equal(slot.fused, fused_by_hand(*scenes[0]))


def run_frames(session, stand_in, scenes, slots):
    """Keep ``slots`` frames on their way; simulated seconds a frame."""
    begin, busy = stand_in.device.now, []
    for scene in scenes:
        if len(busy) == slots:
            slot = busy.pop(0)
            session.collect(slot)
            slot.release()
        slot = session.acquire((12, 16))
        fill(slot, scene)
        session.submit(slot)
        busy.append(slot)
    for slot in busy:
        session.collect(slot)
        slot.release()
    return (stand_in.device.now - begin) / len(scenes)


def test_copies_of_one_slot_overlap_the_inference_of_another(open_engine, stand_in, scenes):
    session = open_engine(memory="pinned")
    frames = scenes * 8
    alone = run_frames(session, stand_in, frames, slots=1)
    overlapped = run_frames(session, stand_in, frames, slots=2)
    # Two copies in and one out take 30 us and more of the simulated GPU's time.
    assert alone > INFER_SECONDS + 30e-6
    assert overlapped < INFER_SECONDS + 5e-6


def test_time_stamps_and_device_times_are_the_devices(open_engine, stand_in, scenes):
    session = open_engine(memory="pinned")
    with session.acquire((12, 16)) as slot:
        fill(slot, scenes[0])
        session.submit(slot)
        session.collect(slot)
        times = session.device_times(slot)
    assert 0 < slot.started_ns < slot.finished_ns == round(stand_in.device.now * 1e9)
    assert times.infer == pytest.approx(INFER_SECONDS * 1e3)
    assert times.copy_in == pytest.approx(0.02, rel=0.01) and times.wait == pytest.approx(0)
    assert times.copy_out == pytest.approx(0.01, rel=0.01)
    assert slot.finished_ns - slot.started_ns == pytest.approx(1.01e6, rel=0.01)


def test_mapped_memory_has_no_copies(open_engine, stand_in, scenes):
    session = open_engine(memory="mapped")
    session.fuse(*scenes[0])
    assert "cudaMemcpyAsync" not in stand_in.calls
    with session.acquire((12, 16)) as slot:
        session.submit(slot)
        session.collect(slot)
        assert session.device_times(slot) == pytest.approx((0, 0, 1.0, 0), rel=0.01)


@pytest.mark.parametrize(("integrated", "faster"), [(True, "mapped"), (False, "pinned")])
def test_memory_is_chosen_by_measuring_both(open_engine, make_stand_in, integrated, faster):
    cuda = make_stand_in(integrated=integrated)
    session = open_engine(make_engine((480, 640)), cuda)
    told = session.execution["memory"]
    assert told.startswith(f"{faster}, the faster: pinned ")
    assert "mapped" in told and "median of 10 at 640x480" in told
    assert ("memory shared with the CPU" in session.execution["device"]) == integrated


def test_a_gpu_that_cannot_map_host_memory_gets_pinned(open_engine):
    cuda = CudaStandIn(maps=False)
    session = open_engine(cuda=cuda)
    assert session.execution["memory"] == "pinned, this GPU cannot map host memory"
    with pytest.raises(DeviceError, match="cannot map host memory"):
        open_engine(cuda=cuda, memory="mapped")


def test_the_network_is_one_graph_a_slot(open_engine, stand_in, scenes):
    session = open_engine(memory="pinned")
    assert session.execution["CUDA graph"] == "yes"
    session.acquire((12, 16)).release()
    stand_in.calls.clear()
    session.fuse(*scenes[0])
    assert stand_in.calls.count("cudaGraphLaunch") == 1


def test_what_cannot_be_captured_is_launched_plainly_and_says_why(
    open_engine, fused_by_hand, scenes
):
    session = open_engine(make_engine(synchronizes=True), memory="pinned")
    for scene in scenes:
        np.testing.assert_array_equal(session.fuse(*scene), fused_by_hand(*scene))
    told = session.execution["CUDA graph"]
    assert told.startswith("no: ") and "operation not permitted in a capture" in told


@pytest.mark.parametrize("call", ["cudaStreamBeginCapture", "cudaGraphInstantiate"])
def test_a_driver_that_refuses_graphs_is_no_failure(
    open_engine, stand_in, fused_by_hand, scenes, call
):
    stand_in.fail(call, "cudaErrorStreamCaptureUnsupported")
    session = open_engine(memory="pinned")
    np.testing.assert_array_equal(session.fuse(*scenes[0]), fused_by_hand(*scenes[0]))
    assert "cudaErrorStreamCaptureUnsupported" in session.execution["CUDA graph"]


def test_graphs_can_be_left_out(open_engine, stand_in):
    session = open_engine(cuda_graph=False)
    assert session.execution["CUDA graph"] == "no: not asked for"
    assert "cudaStreamBeginCapture" not in stand_in.calls


def test_submit_and_collect_on_two_threads(open_engine, fused_by_hand, scenes):
    session, done = open_engine(slots=2), []

    def write(slot, scene):
        session.collect(slot)
        done.append((slot.fused == fused_by_hand(*scene)).all())
        slot.release()

    for scene in scenes:
        slot = session.acquire((12, 16))
        fill(slot, scene)
        session.submit(slot)
        writer = threading.Thread(target=write, args=(slot, scene))
        writer.start()
        writer.join()
    assert done == [True] * len(scenes)


def test_a_second_gpu_is_used_and_the_callers_choice_comes_back(
    open_engine, make_stand_in, fused_by_hand, scenes
):
    cuda = make_stand_in(gpus=2)
    session = open_engine(cuda=cuda, device=1)
    np.testing.assert_array_equal(session.fuse(*scenes[0]), fused_by_hand(*scenes[0]))
    assert cuda.cudaGetDevice()[1] == 0


def test_replaced_views_are_noticed(open_engine):
    session = open_engine()
    with session.acquire((12, 16)) as slot:
        slot.visible = np.zeros((12, 16), np.uint8)
        with pytest.raises(RuntimeError, match="write into them"):
            session.submit(slot)


def test_planes_outlive_the_session(open_engine, scenes, fused_by_hand):
    session = open_engine()
    slot = session.acquire((12, 16))
    fill(slot, scenes[0])
    session.submit(slot)
    session.collect(slot)
    fused = slot.fused
    session.close()
    session.close()
    np.testing.assert_array_equal(fused, fused_by_hand(*scenes[0]))
