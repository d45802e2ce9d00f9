"""The stand-in is as strict as it says, and has the real package's calls and numbers."""

import inspect

import numpy as np
import pytest
from support import cuda_names
from support.cuda_stand_in import CudaStandIn
from support.stand_in_device import GARBAGE, BrokenRuleError

H2D = cuda_names.cudaMemcpyKind.cudaMemcpyHostToDevice
D2H = cuda_names.cudaMemcpyKind.cudaMemcpyDeviceToHost
CALLS = [
    name
    for name in dir(CudaStandIn)
    if name.startswith("cuda") and hasattr(getattr(CudaStandIn, name), "values")
]


@pytest.fixture
def real():
    return pytest.importorskip("cuda.bindings.runtime", reason="needs: pip install cuda-bindings")


@pytest.mark.parametrize("name", CALLS)
def test_calls_have_the_real_ones_arguments_and_results(real, name):
    theirs = inspect.signature(getattr(real, name)).parameters
    ours = list(inspect.signature(getattr(CudaStandIn, name)).parameters)[1:]
    if name == "cudaGraphExecDestroy":  # the same function here, whose argument is named graph
        assert len(theirs) == len(ours) == 1
    else:
        assert list(theirs) == ours


@pytest.mark.parametrize(
    "name",
    ["cudaError_t", "cudaMemcpyKind", "cudaStreamCaptureMode", "cudaDeviceAttr", "cudaMemoryType"],
)
def test_numbers_are_the_real_ones(real, name):
    for ours in getattr(cuda_names, name):
        assert getattr(getattr(real, name), ours.name) == ours.value


def test_flags_are_the_real_ones(real):
    for name in ("cudaEventBlockingSync", "cudaStreamNonBlocking"):
        assert getattr(real, name) == getattr(CudaStandIn, name)
    for name in ("cudaHostAllocDefault", "cudaHostAllocMapped"):
        assert getattr(real, name) == getattr(CudaStandIn, name)


@pytest.fixture(params=[True, False], ids=["detecting", "by data alone"])
def scene(request):
    """A CUDA, two streams, a page-locked byte pair and a device one."""
    return Scene(CudaStandIn(detect=request.param), request.param)


class Scene:
    def __init__(self, cuda, detect):
        self.cuda, self.detect = cuda, detect
        self.first, self.second = (cuda.cudaStreamCreateWithFlags(1)[1] for _ in range(2))
        self.host, self.out = (cuda.cudaHostAlloc(2, 0)[1] for _ in range(2))
        self.device = cuda.cudaMalloc(2)[1]
        self.event = cuda.cudaEventCreateWithFlags(1)[1]
        self.bytes = cuda.device.host_bytes(cuda.device.find(self.host))
        self.result = cuda.device.host_bytes(cuda.device.find(self.out))
        self.bytes[:] = 7

    def copy_through(self, wait):
        """Host to device in one stream, back in the other."""
        self.cuda.cudaMemcpyAsync(self.device, self.host, 2, H2D, self.first)
        self.cuda.cudaEventRecord(self.event, self.first)
        if wait:
            self.cuda.cudaStreamWaitEvent(self.second, self.event, 0)
        self.cuda.cudaMemcpyAsync(self.out, self.device, 2, D2H, self.second)
        self.cuda.cudaStreamSynchronize(self.second)


def test_streams_with_an_event_between_them_hand_over(scene):
    scene.copy_through(wait=True)
    assert (scene.result == 7).all()


def test_a_missing_wait_is_found_and_really_gives_wrong_data(scene):
    if scene.detect:
        with pytest.raises(BrokenRuleError, match="without an event between them"):
            scene.copy_through(wait=False)
    else:
        scene.copy_through(wait=False)
        assert (scene.result == GARBAGE).all()


def test_work_is_done_only_when_something_waits_for_it(scene):
    scene.cuda.cudaMemcpyAsync(scene.device, scene.host, 2, H2D, scene.first)
    scene.cuda.cudaMemcpyAsync(scene.out, scene.device, 2, D2H, scene.first)
    scene.cuda.cudaStreamSynchronize(scene.second)
    assert (scene.result == GARBAGE).all()
    scene.cuda.cudaStreamSynchronize(scene.first)
    assert (scene.result == 7).all()


def test_two_writers_and_overwriting_what_is_read_are_races():
    scene = Scene(CudaStandIn(), True)
    scene.cuda.cudaMemcpyAsync(scene.device, scene.host, 2, H2D, scene.first)
    with pytest.raises(BrokenRuleError, match="writes what copy HostToDevice writes"):
        scene.cuda.cudaMemcpyAsync(scene.device, scene.out, 2, H2D, scene.second)
    scene = Scene(CudaStandIn(), True)
    scene.cuda.cudaMemcpyAsync(scene.out, scene.device, 2, D2H, scene.first)
    with pytest.raises(BrokenRuleError, match="writes what copy DeviceToHost reads"):
        scene.cuda.cudaMemcpyAsync(scene.device, scene.host, 2, H2D, scene.second)


def test_memory_is_freed_once_and_used_before(scene):
    cuda = scene.cuda
    cuda.cudaMemcpyAsync(scene.device, scene.host, 2, H2D, scene.first)
    with pytest.raises(BrokenRuleError, match="may still use it"):
        cuda.cudaFree(scene.device)
    cuda.cudaStreamSynchronize(scene.first)
    cuda.cudaFree(scene.device)
    with pytest.raises(BrokenRuleError, match="freed twice"):
        cuda.cudaFree(scene.device)
    with pytest.raises(BrokenRuleError, match="after it was freed"):
        cuda.cudaMemcpyAsync(scene.out, scene.device, 2, D2H, scene.first)
    with pytest.raises(BrokenRuleError, match="not allocated as device"):
        cuda.cudaFree(scene.host)
    with pytest.raises(AssertionError, match="not freed"):
        cuda.assert_all_freed()


def test_copies_stay_inside_their_memory_and_on_its_side(scene):
    cuda = scene.cuda
    with pytest.raises(BrokenRuleError, match="reach beyond"):
        cuda.cudaMemcpyAsync(scene.device + 1, scene.host, 2, H2D, scene.first)
    with pytest.raises(BrokenRuleError, match="not mapped"):
        cuda.cudaMemcpyAsync(scene.out, scene.host, 2, H2D, scene.first)
    pageable = np.zeros(2, np.uint8)
    with pytest.raises(BrokenRuleError, match="not page-locked"):
        cuda.cudaMemcpyAsync(scene.device, pageable.ctypes.data, 2, H2D, scene.first)


@pytest.mark.parametrize(
    "call", ["cudaMalloc", "cudaFreeHost", "cudaStreamSynchronize", "cudaEventCreateWithFlags"]
)
def test_the_loop_takes_no_allocation_and_no_wait_for_a_stream(scene, call):
    with scene.cuda.loop(), pytest.raises(BrokenRuleError, match=f"{call} in the loop"):
        getattr(scene.cuda, call)(scene.first)


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaStreamSynchronize", "pageable copy"])
def test_a_capture_is_broken_by_what_it_cannot_hold(scene, call):
    cuda = scene.cuda
    cuda.cudaStreamBeginCapture(scene.first, 1)
    if call == "pageable copy":
        data = np.zeros(2, np.uint8)
        error, *_ = cuda.cudaMemcpyAsync(scene.device, data.ctypes.data, 2, H2D, scene.first)
    else:
        error, *_ = getattr(cuda, call)(scene.first)
    assert error.name == "cudaErrorStreamCaptureUnsupported"
    assert cuda.cudaStreamEndCapture(scene.first)[0].name == "cudaErrorStreamCaptureInvalidated"


def test_what_is_captured_runs_when_launched_and_not_before(scene):
    cuda = scene.cuda
    cuda.cudaStreamBeginCapture(scene.first, 1)
    cuda.cudaMemcpyAsync(scene.device, scene.host, 2, H2D, scene.first)
    cuda.cudaMemcpyAsync(scene.out, scene.device, 2, D2H, scene.first)
    graph = cuda.cudaGraphInstantiate(cuda.cudaStreamEndCapture(scene.first)[1], 0)[1]
    cuda.cudaStreamSynchronize(scene.first)
    assert (scene.result == GARBAGE).all()
    for value in (7, 9):
        scene.bytes[:] = value
        cuda.cudaGraphLaunch(graph, scene.first)
        cuda.cudaStreamSynchronize(scene.first)
        assert (scene.result == value).all()


def test_handles_belong_to_their_gpu_and_their_life(scene):
    cuda = scene.cuda
    cuda.cudaSetDevice(1)
    with pytest.raises(BrokenRuleError, match="a stream of GPU 0 while GPU 1"):
        cuda.cudaEventRecord(scene.event, scene.first)
    cuda.cudaSetDevice(0)
    cuda.cudaEventDestroy(scene.event)
    with pytest.raises(BrokenRuleError, match="no longer"):
        cuda.cudaEventSynchronize(scene.event)
    cuda.cudaStreamDestroy(scene.first)
    with pytest.raises(BrokenRuleError, match="no longer"):
        cuda.cudaStreamSynchronize(scene.first)


def test_sticky_errors_stay(scene):
    scene.cuda.fail("cudaEventSynchronize", "cudaErrorIllegalAddress")
    assert scene.cuda.cudaEventSynchronize(scene.event)[0].name == "cudaErrorIllegalAddress"
    assert scene.cuda.cudaMalloc(1) == (cuda_names.cudaError_t.cudaErrorIllegalAddress, None)
