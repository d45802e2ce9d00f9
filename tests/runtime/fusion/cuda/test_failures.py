"""No driver, no GPU, no memory, wrong engines, a lost context: one sentence, exit code 3."""

import gc
import subprocess
import sys

import pytest
from support.cuda_stand_in import CudaStandIn
from support.tensorrt_stand_in import make_engine

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.cuda.calls import Cuda, CudaError


@pytest.mark.driverless
def test_the_real_package_without_a_driver_says_what_is_missing():
    pytest.importorskip("cuda.bindings.runtime", reason="needs: pip install cuda-bindings")
    with pytest.raises(CudaError, match="no NVIDIA driver is installed or visible here") as caught:
        Cuda()
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


def test_without_the_package_the_error_names_the_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(DeviceError, match=r"cuda-bindings is not installed.*mgdn-edge\[gpu\]"):
        Cuda()


def test_errors_of_the_driver_say_what_to_do():
    with pytest.raises(CudaError, match=r"CUDA_VISIBLE_DEVICES") as caught:
        Cuda(bindings=CudaStandIn(gpus=0))
    assert caught.value.name == "cudaErrorNoDevice"
    with pytest.raises(CudaError, match=r"CUDA 12\.6 .*13\.5; .*'cuda-bindings=="):
        Cuda(bindings=CudaStandIn(driver=12060))
    with pytest.raises(DeviceError, match="GPU 2 was asked for but there are 2"):
        Cuda(2, CudaStandIn(gpus=2))


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaHostAlloc"])
@pytest.mark.parametrize("after", [0, 1, 4])
def test_out_of_memory_states_what_was_wanted_and_what_is_free(open_engine, stand_in, call, after):
    session = open_engine(make_engine((480, 640)), memory="pinned", cuda_graph=False)
    stand_in.fail(call, "cudaErrorMemoryAllocation", after)
    with pytest.raises(CudaError, match=r"0\.3 MiB.*100 of 8192 MiB are free; use a smaller"):
        session.acquire((480, 640))
    session.acquire((480, 640)).release()  # nothing half-made stays in the way


@pytest.mark.parametrize("call", ["cudaStreamCreateWithFlags", "cudaEventCreateWithFlags"])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_a_session_that_does_not_open_leaves_nothing(open_engine, stand_in, call, after):
    stand_in.fail(call, "cudaErrorMemoryAllocation", after)
    try:
        open_engine()
    except CudaError:
        failed = True
    else:
        failed = False
    # A session has three streams.
    assert failed != (call == "cudaStreamCreateWithFlags" and after > 2)
    if failed:
        stand_in.assert_all_freed()


def test_a_lost_context_fails_the_frame_and_everything_after(open_engine, stand_in, scenes):
    session = open_engine(memory="pinned")
    with session.acquire((12, 16)) as slot:
        session.submit(slot)
        stand_in.fail("cudaEventSynchronize", "cudaErrorIllegalAddress")
        with pytest.raises(CudaError, match="context is lost: start the program again"):
            session.collect(slot)
    with pytest.raises(CudaError, match="cudaErrorIllegalAddress"):
        session.fuse(*scenes[0])
    session.close()  # says nothing more


def test_a_context_lost_while_closing_is_no_second_error(open_engine, stand_in):
    session = open_engine(memory="pinned")
    stand_in.fail("cudaStreamSynchronize", "cudaErrorLaunchFailure")
    session.close()


ENGINES = [
    (b"", r"TensorRT 10\.3\.0 cannot run this engine on Stand-in: it is damaged"),
    (b"junk", r"\(Magic tag does not match in the file\); build it again on this machine: mgdn"),
    (make_engine()[:40], "is damaged, or of another device or TensorRT"),
    (make_engine(gpu="Orin"), r"of another device or TensorRT \(made for Orin\); build it again"),
    (make_engine(context_fails=True), r"needs 3 MiB \(Requested size was 3145728 bytes\)"),
    (make_engine(refuses="infrared"), r"does not take address .* for infrared \(address refused"),
    (make_engine(tensors=[]), "the engine takes and returns nothing"),
]
TENSOR = {"visible": "INPUT", "infrared": "INPUT", "fused": "OUTPUT"}


def tensors(**changes):
    made = {name: [name, mode, "UINT8", "DEVICE", [1, 1, 4, 6]] for name, mode in TENSOR.items()}
    return [each for each in (made | changes).values() if each]


WRONG = {
    "another type": tensors(fused=["fused", "OUTPUT", "FLOAT", "DEVICE", [1, 1, 4, 6]]),
    "another shape": tensors(visible=["visible", "INPUT", "UINT8", "DEVICE", [1, 3, 4, 6]]),
    "any size": tensors(
        **{name: [name, mode, "UINT8", "DEVICE", [1, 1, -1, -1]] for name, mode in TENSOR.items()}
    ),
    "in host memory": tensors(fused=["fused", "OUTPUT", "UINT8", "HOST", [1, 1, 4, 6]]),
    "the wrong way": tensors(fused=["fused", "INPUT", "UINT8", "DEVICE", [1, 1, 4, 6]]),
    "one missing": tensors(infrared=None),
    "one too many": tensors(more=["more", "INPUT", "UINT8", "DEVICE", [1, 1, 4, 6]]),
}
ENGINES += [
    (make_engine(tensors=each), "visible, infrared and fused are needed") for each in WRONG.values()
]


@pytest.mark.parametrize(("engine", "sentence"), ENGINES)
def test_engines_that_cannot_run_here_are_one_sentence(open_engine, stand_in, engine, sentence):
    with pytest.raises(DeviceError, match=sentence) as caught:
        open_engine(engine)
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    del caught  # its traceback holds planes
    gc.collect()
    stand_in.assert_all_freed()


@pytest.mark.parametrize("version", ["8.6.2", "10.0.1", "10.2.9", "strange"])
def test_an_old_tensorrt_is_refused(open_engine, version):
    with pytest.raises(DeviceError, match=f"TensorRT {version} is too old, 10.3 is needed"):
        open_engine(version=version)


@pytest.mark.parametrize("version", ["10.3.0", "10.16.1.2", "11.4.0.106"])
def test_newer_ones_are_taken(open_engine, version):
    assert open_engine(version=version).execution["TensorRT"] == version


LEAN = """
import ctypes, sys
import tensorrt_lean_bindings as tensorrt
from mgdn_edge.runtime.fusion.backends import tensorrt as backend
from mgdn_edge.runtime.errors import DeviceError
log = backend.make_log(tensorrt)
log.log(tensorrt.ILogger.WARNING, "of no interest")
log.log(tensorrt.ILogger.ERROR, "two\\nlines")
assert log.errors == ["two lines"], log.errors
try:
    backend.start_runtime(tensorrt, backend.make_log(tensorrt))
except DeviceError as error:
    print(error)
"""


@pytest.mark.lean
@pytest.mark.driverless
@pytest.mark.parametrize("version", ["lean-10", "lean-11"])
def test_nvidias_own_runtime_takes_our_logger_and_does_not_crash(tensorrt_root, version):
    result = subprocess.run(
        [sys.executable, "-c", LEAN],
        env={"PYTHONPATH": str(tensorrt_root / version), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "TensorRT does not start on this machine (createInferRuntime" in result.stdout
