"""Arrays and streams of other libraries, as each of them presents itself."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
from support.tensorrt_stand_in import make_engine

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.cuda.interop import stream_handle

SIZE = (12, 16)
ABSENT = object()


class DeviceArray:
    """What CuPy, torch, numba and PyCUDA arrays have in common; ``changes`` to its interface."""

    def __init__(self, cuda, plane=None, size=SIZE, **changes):
        self.cuda, self.bytes = cuda, size[0] * size[1]
        self.address = cuda.cudaMalloc(self.bytes + 256)[1]
        self.interface = {
            "shape": size,
            "typestr": "|u1",
            "data": (self.address, False),
            "version": 3,
        }
        self.interface |= changes
        if plane is not None:
            self.host()[:] = plane.ravel()

    @property
    def __cuda_array_interface__(self):
        return {key: value for key, value in self.interface.items() if value is not ABSENT}

    def host(self):
        return self.cuda.device.bytes_at(self.address, self.bytes)


@pytest.fixture
def arrays(stand_in, scenes):
    """``arrays(visible=..., fused=...)``: three device arrays with changed interfaces; freed."""
    made = []

    def make(**changes):
        planes = {"visible": scenes[0].visible, "infrared": scenes[0].infrared, "fused": None}
        for name, plane in planes.items():
            made.append(DeviceArray(stand_in, plane, **changes.get(name, {})))
        return made[-3:]

    yield make
    for array in made:
        stand_in.cudaFree(array.address)


@pytest.fixture
def their_stream(stand_in):
    handle = stand_in.cudaStreamCreateWithFlags(1)[1]
    yield handle
    stand_in.cudaStreamSynchronize(handle)
    stand_in.cudaStreamDestroy(handle)


def test_device_arrays_are_fused_without_touching_the_host(
    open_engine, stand_in, arrays, scenes, fused_by_hand
):
    session, (visible, infrared, fused) = open_engine(), arrays()
    stand_in.calls.clear()
    session.fuse_device(visible, infrared, fused)
    assert not {"cudaMemcpyAsync", "cudaMalloc", "cudaHostAlloc"} & set(stand_in.calls)
    np.testing.assert_array_equal(fused.host().reshape(SIZE), fused_by_hand(*scenes[0]))


def test_with_a_stream_nothing_waits_on_the_host(
    open_engine, stand_in, arrays, scenes, fused_by_hand, their_stream
):
    session, (visible, infrared, fused) = open_engine(), arrays()
    visible.host()[:] = 0

    def write():
        visible.host()[:] = scenes[0].visible.ravel()

    write_range = [(visible.address, visible.bytes)]
    with stand_in.loop():
        stand_in.enqueue(their_stream, "their kernel", [], write_range, write)
        session.fuse_device(visible, infrared, fused, stream=their_stream)
        # Their later work reads the result, and may write the input again.
        read_range = [(fused.address, fused.bytes)]
        stand_in.enqueue(their_stream, "their reader", read_range, write_range, lambda: None)
    assert not {"cudaEventSynchronize", "cudaStreamSynchronize"} & set(stand_in.calls[-12:])
    stand_in.cudaStreamSynchronize(their_stream)
    np.testing.assert_array_equal(fused.host().reshape(SIZE), fused_by_hand(*scenes[0]))


@pytest.mark.parametrize("which", ["visible", "infrared", "fused"])
def test_the_stream_an_array_states_is_waited_for(
    open_engine, stand_in, arrays, scenes, fused_by_hand, their_stream, which
):
    session = open_engine()
    named = dict(
        zip(
            ("visible", "infrared", "fused"),
            arrays(**{which: {"stream": their_stream}}),
            strict=True,
        )
    )
    array = named[which]
    # Without waiting for it, this is a race with the network.
    stand_in.enqueue(their_stream, "their kernel", [], [(array.address, array.bytes)], lambda: None)
    session.fuse_device(*named.values())
    np.testing.assert_array_equal(named["fused"].host().reshape(SIZE), fused_by_hand(*scenes[0]))


def test_slots_and_device_arrays_take_turns(open_engine, arrays, scenes, fused_by_hand):
    session, (visible, infrared, fused) = open_engine(memory="pinned"), arrays()
    for scene in scenes[1:4]:
        with session.acquire(SIZE) as slot:
            slot.visible[...], slot.infrared[...] = scene
            session.submit(slot)
            session.fuse_device(visible, infrared, fused)
            session.collect(slot)
            np.testing.assert_array_equal(slot.fused, fused_by_hand(*scene))
        np.testing.assert_array_equal(fused.host().reshape(SIZE), fused_by_hand(*scenes[0]))


@pytest.mark.parametrize("strides", [ABSENT, None, (16, 1)])
def test_contiguous_arrays_may_say_so_or_not(open_engine, arrays, strides):
    open_engine().fuse_device(*arrays(visible={"strides": strides}, fused={"version": 2}))


WRONG = [
    ("visible", {"typestr": "<f4"}, r"visible is <f4 of shape \(12, 16\); a \(H, W\) uint8"),
    ("infrared", {"shape": (1, 1, 12, 16)}, r"infrared is \|u1 of shape \(1, 1, 12, 16\)"),
    ("visible", {"shape": (0, 16)}, "visible is empty: 16x0"),
    ("visible", {"strides": (32, 1)}, r"strides \(32, 1\); .*ascontiguousarray"),
    ("fused", {"strides": (1, 12)}, r"fused has strides \(1, 12\)"),
    ("visible", {"mask": object()}, "masked"),
    ("infrared", {"stream": 0}, "infrared states stream 0"),
    ("infrared", {"stream": "1"}, "infrared states stream '1'"),
    ("fused", {"shape": (6, 32)}, "fused is 32x6 but visible is 16x12"),
    ("visible", {"data": (0, False)}, "visible has no memory"),
]


@pytest.mark.parametrize(("name", "change", "sentence"), WRONG)
def test_what_does_not_fit_is_one_sentence(open_engine, arrays, name, change, sentence):
    with pytest.raises(UserError, match=sentence):
        open_engine().fuse_device(*arrays(**{name: change}))


def test_read_only_results_misaligned_views_and_host_arrays(open_engine, arrays):
    session, (visible, infrared, fused) = open_engine(), arrays()
    visible.interface["data"] = (visible.address, True)  # of an input that is right
    session.fuse_device(visible, infrared, fused)
    fused.interface["data"] = (fused.address, True)
    with pytest.raises(UserError, match="fused is read-only"):
        session.fuse_device(visible, infrared, fused)
    fused.interface["data"] = (fused.address, False)
    visible.interface["data"] = (visible.address + 16, False)
    with pytest.raises(UserError, match="not a multiple of 256"):
        session.fuse_device(visible, infrared, fused)
    host = np.zeros(SIZE, np.uint8)
    with pytest.raises(UserError, match=r"ndarray without __cuda_array_interface__.*session.fuse"):
        session.fuse_device(host, infrared, fused)
    visible.interface["data"] = (host.ctypes.data, False)
    with pytest.raises(UserError, match="memory the GPU cannot reach"):
        session.fuse_device(visible, infrared, fused)


def test_arrays_of_another_gpu_and_of_another_size(open_engine, make_stand_in, arrays):
    with pytest.raises(UserError, match="frames are 32x6 but the engine takes only 16x12"):
        wide = {"shape": (6, 32)}
        open_engine().fuse_device(*arrays(visible=wide, infrared=wide, fused=wide))
    cuda = make_stand_in(gpus=2)
    session = open_engine(cuda=cuda, device=1)
    foreign = DeviceArray(cuda)  # on GPU 0, where the stand-in keeps all arrays
    with pytest.raises(UserError, match="visible is on GPU 0 and the session on GPU 1"):
        session.fuse_device(foreign, foreign, foreign)
    cuda.cudaFree(foreign.address)


def test_mapped_slots_are_device_arrays(open_engine, scenes, fused_by_hand):
    session = open_engine(make_engine((16, 16)), memory="mapped", slots=3)
    slots = [session.acquire((16, 16)) for _ in range(2)]
    slots[0].visible[...], slots[0].infrared[...] = 40, 80
    session.fuse_device(slots[0].visible, slots[0].infrared, slots[1].fused)
    assert (slots[1].fused == 50).all()
    interface = slots[0].visible.__cuda_array_interface__
    assert interface["shape"] == (16, 16) and interface["version"] == 3
    below = slots[0].visible[4:, 2:].__cuda_array_interface__
    assert below["data"][0] - interface["data"][0] == 4 * 16 + 2 and below["strides"] == (16, 1)
    assert not hasattr(slots[0].visible.copy(), "__cuda_array_interface__")
    assert type(session.fuse(slots[0].visible, slots[0].infrared)) is np.ndarray


def test_pinned_slots_are_not(open_engine):
    with open_engine(memory="pinned").acquire(SIZE) as slot:
        assert not hasattr(slot.visible, "__cuda_array_interface__")


STREAMS = [
    (5, 5),
    (0, 1),
    (np.int64(7), 7),
    (SimpleNamespace(handle=6), 6),  # PyCUDA
    (SimpleNamespace(ptr=6), 6),  # CuPy
    (SimpleNamespace(ptr=0), 1),  # its null stream
    (SimpleNamespace(cuda_stream=6), 6),  # torch
    (SimpleNamespace(cuda_stream=0), 1),  # its default stream
    (SimpleNamespace(handle=ctypes.c_void_p(6)), 6),  # numba
    (SimpleNamespace(handle=ctypes.c_void_p(0)), 1),  # its default stream
    (SimpleNamespace(__cuda_stream__=lambda: (0, 9)), 9),  # cuda.core
]


@pytest.mark.parametrize(("stream", "handle"), STREAMS)
def test_streams_of_every_library_have_one_number(stream, handle):
    assert stream_handle(stream) == handle


@pytest.mark.parametrize("stream", ["5", 5.0, object(), True])
def test_what_is_no_stream_is_refused(stream):
    with pytest.raises(UserError, match=r"stream is a .*; pass a stream of PyCUDA"):
        stream_handle(stream)
