"""The ONNX Runtime CUDA backend: its own code on the stand-in, ONNX Runtime's CPU kernels below."""

import gc
import sys

import numpy as np
import pytest
from support.cuda_stand_in import CudaStandIn, check_freed
from support.device_array import DeviceArray
from support.onnxruntime_stand_in import CPU, make_onnxruntime

from mgdn_edge.plugins.native import NativeLibraryError
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.backends import node_placement, onnxruntime_cuda
from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import (
    OnnxRuntimeCudaSession,
    choose_cuda_filter,
    runs_on,
)
from mgdn_edge.runtime.fusion.contract.golden_check import measure_golden
from mgdn_edge.runtime.fusion.cuda.calls import Cuda
from mgdn_edge.runtime.picture.drawn_scene import draw_scene


@pytest.fixture
def cuda(make_stand_in):
    # The CPU provider is given the device's addresses of mapped memory.
    return make_stand_in(same_address=True)


@pytest.fixture
def open_model(cuda, monkeypatch, tiny_spec):
    """``open_model(model, **options)`` with the stand-ins; closed and checked for leaks."""
    opened = []

    def open_session(model, *, module=None, spec=tiny_spec, **options):
        monkeypatch.setitem(sys.modules, "onnxruntime", module or make_onnxruntime(cuda))
        options = {"variant": "tried", "cuda": Cuda(bindings=cuda)} | options
        session = OnnxRuntimeCudaSession(model, spec=spec, **options)
        opened.append(session)
        return session

    yield open_session
    while opened:
        opened.pop().close()
    check_freed(cuda)


pytestmark = pytest.mark.export  # the tiny models are built with onnx


@pytest.mark.parametrize("memory", ["pinned", "mapped"])
@pytest.mark.parametrize("size", [(1, 1), (7, 1), (12, 16), (101, 131)])
def test_frames_of_any_size_are_fused(open_model, build_tiny_model, fused_by_hand, memory, size):
    session, scene = open_model(build_tiny_model(), memory=memory), draw_scene(*size)
    np.testing.assert_array_equal(session.fuse(*scene), fused_by_hand(*scene))


def test_a_change_of_size_frees_the_old_slots(open_model, cuda, build_tiny_model, fused_by_hand):
    session = open_model(build_tiny_model())
    old = session.acquire((8, 8))
    for size in ((16, 4), (3, 5)):
        np.testing.assert_array_equal(
            session.fuse(*draw_scene(*size)), fused_by_hand(*draw_scene(*size))
        )
    old.visible[...], old.infrared[...] = 40, 80
    session.submit(old)
    session.collect(old)
    assert (old.fused == 50).all()
    old.release()
    del old
    gc.collect()
    kept = sum(not memory.freed for memory in cuda.device.memories)
    assert kept == 2 * 3 * (2 if "pinned," in session.execution["memory"][:8] else 1)


def test_the_loop_makes_nothing_and_binds_once(open_model, cuda, build_tiny_model, fused_by_hand):
    session = open_model(build_tiny_model(), memory="pinned", slots=3)
    session.acquire((12, 16)).release()
    bound = len(session._bindings)
    with cuda.loop():
        for index in range(12):
            scene = draw_scene(12, 16, phase=index / 12)
            np.testing.assert_array_equal(session.fuse(*scene), fused_by_hand(*scene))
    assert len(session._bindings) == bound


def test_bindings_of_changing_addresses_do_not_pile_up(open_model, cuda, build_tiny_model):
    session = open_model(build_tiny_model())
    arrays = [DeviceArray(cuda, np.full((12, 16), level, np.uint8)) for level in range(40)]
    for index, array in enumerate(arrays[:-1]):
        session.fuse_device(array, array, arrays[-1])
        assert (arrays[-1].host() == index).all()
    assert len(session._bindings) <= onnxruntime_cuda.MOST_BINDINGS
    session.close()
    for array in arrays:
        cuda.cudaFree(array.address)


def test_submit_returns_before_the_run_is_started(open_model, build_tiny_model, monkeypatch):
    import threading

    session, gate = open_model(build_tiny_model()), threading.Event()
    enqueue = session.enqueue
    with session.acquire((4, 4)) as slot:
        monkeypatch.setattr(session, "enqueue", lambda *frame: gate.wait(10) and enqueue(*frame))
        session.submit(slot)
        gate.set()
        session.collect(slot)


def test_reports_say_where_nodes_ran_and_that_there_is_no_graph(open_model, build_tiny_model):
    session = open_model(build_tiny_model())
    assert session.backend == "onnxruntime-cuda" and session.filter_implementation is None
    # Below the stand-in everything runs on the CPU, and the profile does not hide it.
    assert session.execution["nodes"].startswith("0 on the GPU, 7 on the CPU (3 Cast, 2 Mul")
    assert session.execution["CUDA graph"].startswith("no: ONNX Runtime starts its kernels")


def test_float32_stays_float32_in_the_sessions_stream(open_model, cuda, build_tiny_model):
    module = make_onnxruntime(cuda)
    session = open_model(build_tiny_model(), module=module)
    assert module.made[0].provider == {
        "device_id": "0",
        "user_compute_stream": str(session.stream),
        "use_tf32": "0",
    }


@pytest.mark.parametrize(
    ("installed", "sentence"),
    [
        (["onnxruntime"], r"was built without CUDA; run: pip uninstall -y onnxruntime"),
        (["onnxruntime", "onnxruntime-gpu"], "overwrite each other's files.*pip uninstall"),
    ],
)
def test_without_the_cuda_provider_the_line_to_type_is_given(
    open_model, cuda, build_tiny_model, monkeypatch, installed, sentence
):
    monkeypatch.setattr(onnxruntime_cuda, "installed_packages", lambda: installed)
    module = make_onnxruntime(cuda, providers=[CPU])
    with pytest.raises(DeviceError, match=sentence) as caught:
        open_model(build_tiny_model(), module=module)
    assert caught.value.exit_code == 3


def test_without_onnxruntime_the_line_to_type_is_given(monkeypatch, build_tiny_model, tiny_spec):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"pip install 'mgdn-edge\[gpu\]'"):
        OnnxRuntimeCudaSession(build_tiny_model(), spec=tiny_spec, variant="tried")


def test_a_provider_that_does_not_start_is_not_replaced_silently(
    open_model, cuda, build_tiny_model
):
    module = make_onnxruntime(cuda, starts=False)
    with pytest.raises(DeviceError, match=r"could not start its CUDA provider.*\[cuda,cudnn\]"):
        open_model(build_tiny_model(), module=module)


def test_a_static_graph_takes_only_its_size(open_model, build_tiny_model):
    session = open_model(build_tiny_model((12, 16)), size=(12, 16))
    with pytest.raises(UserError, match="takes only 16x12"):
        session.acquire((16, 12))


def test_bytes_that_are_no_model_leave_nothing_behind(open_model, build_tiny_model):
    for data in (b"", b"not a model", build_tiny_model()[:90]):
        with pytest.raises(UserError, match="variant tried"):
            open_model(data)
    with pytest.raises(UserError, match="planes of the variant's size"):
        open_model(build_tiny_model(), size=(12, 16))


def test_a_run_that_fails_is_told_when_the_frame_is_collected(
    open_model, cuda, build_tiny_model, monkeypatch
):
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    module = make_onnxruntime(cuda)
    session = open_model(build_tiny_model(), module=module)
    with session.acquire((4, 4)) as slot:

        def fail(*arguments):
            raise RuntimeException("CUDA error 2: out of memory\n its call stack")

        monkeypatch.setattr(module.made[0], "run_with_iobinding", fail)
        session.submit(slot)
        with pytest.raises(DeviceError, match=r"could not fuse a 4x4 frame.*out of memory$"):
            session.collect(slot)


@pytest.mark.parametrize("filter", ["body", pytest.param("native", marks=pytest.mark.native)])
def test_the_default_network_equals_its_golden_pair(open_model, cuda, monkeypatch, filter):
    # Below the stand-in the library's CPU kernel runs in the CUDA kernel's place.
    monkeypatch.setattr(onnxruntime_cuda, "cuda_architectures", lambda: ("87-real",))
    monkeypatch.setattr(node_placement, "MOST_NAMED", 99)
    module = make_onnxruntime(cuda)
    with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
        variant = bundle.manifest.variants[0]
        session = open_model(
            bundle.read(variant.file), module=module, spec=bundle.manifest.spec, filter=filter
        )
        assert session.filter_implementation == (
            "native" if filter == "native" else "function body"
        )
        assert ("DynamicFilter" in session.execution["nodes"]) == (filter == "native")
        assert measure_golden(bundle, variant, session).passed
    if filter == "native":  # the library's other operations are for the CPU alone
        (made,) = module.made
        assert made.get_session_options().get_session_config_entry("mgdn.filter_only") == "1"


ARCHITECTURES = [
    ("87-real", (8, 7), True), ("87-real", (8, 9), True), ("87-real", (8, 6), False),
    ("87-real", (9, 0), False), ("75-virtual", (7, 5), True), ("75-virtual", (12, 1), True),
    ("75-virtual", (7, 2), False), ("110", (11, 0), True), ("110", (12, 0), True),
    ("110", (10, 3), False),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "capability", "runs"), ARCHITECTURES)
def test_code_runs_where_cuda_says(architecture, capability, runs):
    assert runs_on(architecture, capability) == runs


def test_the_filter_is_native_only_where_the_library_has_a_kernel_for_the_gpu(monkeypatch):
    gpu, model = Cuda(bindings=CudaStandIn()), b"..DynamicFilter.."
    for architectures, wanted, chosen in [
        (("87-real",), None, "native"), (("87-real",), "native", "native"),
        (("90-real",), None, "function body"), ((), None, "function body"),
        (("87-real",), "body", "function body"),
    ]:  # fmt: skip
        monkeypatch.setattr(onnxruntime_cuda, "find_library", lambda: "there")
        monkeypatch.setattr(onnxruntime_cuda, "cuda_architectures", lambda a=architectures: a)
        assert choose_cuda_filter(model, wanted, gpu) == chosen
        assert choose_cuda_filter(b"another network", wanted, gpu) is None
    monkeypatch.setattr(onnxruntime_cuda, "cuda_architectures", lambda: ("90-real",))
    with pytest.raises(UserError, match=r"for architectures 90-real, and Stand-in.*8\.7"):
        choose_cuda_filter(model, "native", gpu)

    def broken():
        raise NativeLibraryError("does not load")

    monkeypatch.setattr(onnxruntime_cuda, "cuda_architectures", broken)
    with pytest.raises(UserError, match="does not load"):
        choose_cuda_filter(model, None, gpu)
