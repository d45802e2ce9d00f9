"""On a real GPU: CUDA's calls, slots, graphs, other libraries' arrays, and every packaged model."""

import numpy as np
import pytest

from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import start_cuda_variant
from mgdn_edge.runtime.fusion.contract.golden_check import measure_golden
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.cuda.calls import Cuda
from mgdn_edge.runtime.fusion.cuda.memory import DeviceBuffer, allocate_plane, find_block
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

pytestmark = pytest.mark.gpu

ON_CUDA = SessionChoice(backend="onnxruntime-cuda")
VARIANTS = [
    (network, variant)
    for network, path in sorted(packaged_bundles().items())
    for variant in ("dynamic", "640x480", "640x512")
]


@pytest.fixture
def cuda():
    pytest.importorskip("cuda.bindings.runtime", reason="needs: pip install cuda-bindings")
    return Cuda()


@pytest.mark.parametrize("captured", [False, True])
def test_copies_and_events_carry_a_plane_there_and_back(cuda, captured):
    there, back = (allocate_plane(cuda, (7, 9), "pinned") for _ in range(2))
    there[...] = np.arange(63, dtype=np.uint8).reshape(7, 9)
    back[...] = 0
    buffer, stream, event = DeviceBuffer(cuda, 63), cuda.create_stream(), cuda.create_event()
    addresses = [find_block(plane).address for plane in (there, back)]

    def enqueue():
        cuda.copy(buffer.address, addresses[0], 63, "to device", stream)
        cuda.copy(addresses[1], buffer.address, 63, "to host", stream)

    if captured:
        cuda.begin_capture(stream)
        enqueue()
        graph = cuda.end_capture(stream)
        cuda.launch(graph, stream)
    else:
        enqueue()
    cuda.record(event, stream)
    cuda.wait_on_host(event)
    np.testing.assert_array_equal(back, there)
    if captured:
        cuda.destroy_graph(graph)
    buffer.close()
    cuda.destroy_event(event)
    cuda.destroy_stream(stream)


def test_pointers_are_told_apart(cuda):
    mapped = allocate_plane(cuda, (4, 4), "mapped")
    buffer = DeviceBuffer(cuda, 16)
    assert cuda.pointer_facts(find_block(mapped).address).kind == "host"
    assert cuda.pointer_facts(buffer.address).kind == "device"
    assert cuda.pointer_facts(np.zeros(4).ctypes.data).device_address == 0
    buffer.close()


@pytest.mark.cuda_provider
@pytest.mark.parametrize(("network", "variant"), VARIANTS)
def test_every_packaged_model_equals_its_golden_pair(network, variant):
    with open_bundle(packaged_bundles()[network]) as bundle:
        chosen = bundle.variant(variant)
        with start_cuda_variant(bundle, chosen) as session:
            parity = measure_golden(bundle, chosen, session)
            assert parity.passed, parity
            assert " on the GPU" in session.execution["nodes"]


@pytest.mark.cuda_provider
@pytest.mark.parametrize("size", [(1, 1), (61, 83), (480, 640)])
def test_cpu_and_gpu_fuse_the_same(size):
    scene = draw_scene(*size)
    with open_session("mgdn-edge") as cpu, open_session("mgdn-edge", ON_CUDA) as gpu:
        difference = cpu.fuse(*scene).astype(int) - gpu.fuse(*scene)
    assert np.abs(difference).max() <= 1  # sums in another order may round to the next level


@pytest.mark.cuda_provider
def test_slots_in_flight_stay_apart():
    scenes = [draw_scene(480, 640, phase=index / 12) for index in range(12)]
    with open_session("mgdn-edge", ON_CUDA, size=(480, 640)) as session:
        alone = [session.fuse(*scene) for scene in scenes]
        busy = []
        for index, scene in enumerate(scenes):
            if len(busy) == 2:
                collect(session, busy, alone)
            slot = session.acquire((480, 640))
            slot.visible[...], slot.infrared[...] = scene
            session.submit(slot)
            busy.append((slot, index))
        while busy:
            collect(session, busy, alone)


def collect(session, busy, alone):
    slot, index = busy.pop(0)
    session.collect(slot)
    np.testing.assert_array_equal(slot.fused, alone[index])
    slot.release()


def torch_library():
    import torch

    stream = torch.cuda.Stream()
    return lambda plane: torch.from_numpy(plane).cuda(), lambda array: array.cpu().numpy(), stream


def cupy_library():
    cupy = pytest.importorskip("cupy", reason="needs: pip install cupy-cuda13x")
    return cupy.asarray, cupy.asnumpy, cupy.cuda.Stream(non_blocking=True)


def pycuda_library():
    pytest.importorskip("pycuda.autoprimaryctx", reason="needs: pip install 'mgdn-edge[pycuda]'")
    from pycuda import driver, gpuarray

    return gpuarray.to_gpu, lambda array: array.get(), driver.Stream()


@pytest.mark.cuda_provider
@pytest.mark.parametrize("with_stream", [False, True])
@pytest.mark.parametrize(
    "library",
    [
        pytest.param(torch_library, marks=pytest.mark.torch_cuda),
        cupy_library,
        pycuda_library,
    ],
)
def test_arrays_of_other_libraries_are_fused_on_the_gpu(library, with_stream):
    to_device, to_host, stream = library()
    scene = draw_scene(480, 640)
    with open_session("mgdn-edge", ON_CUDA, size=(480, 640)) as session:
        visible, infrared = (to_device(np.ascontiguousarray(plane)) for plane in scene)
        fused = to_device(np.zeros((480, 640), np.uint8))
        session.fuse_device(visible, infrared, fused, stream=stream if with_stream else None)
        if with_stream:
            stream.synchronize()
        np.testing.assert_array_equal(to_host(fused), session.fuse(*scene))
