"""What is asked of the driver, with a stand-in for its library, and of the board's files."""

import pytest

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.machine.device import Device, free_gpu_memory, l4t_release, read_device

TEGRA = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed\n"
    "# KERNEL_VARIANT: oot\n"
)
NVRM = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (build)\n"
    "GCC version:  gcc version 11.4.0\n"
)
ATTRIBUTES = {16: 16, 18: 1, 75: 8, 76: 7}


class Driver:
    """libcuda.so.1 as far as it is called; ``failing`` returns an error code."""

    def __init__(self, failing=""):
        self.failing, self.contexts = failing, 0

    def __getattr__(self, name):
        def call(*arguments):
            if name == self.failing:
                return 100
            self.answer(name, *arguments)
            return 0

        return call

    def answer(self, name, *arguments):
        first = getattr(arguments[0], "_obj", arguments[0]) if arguments else None
        if name == "cuDeviceGetAttribute":
            first.value = ATTRIBUTES[arguments[1]]
        elif name in ("cuDriverGetVersion", "cudaRuntimeGetVersion"):
            first.value = 12060
        elif name == "cuDeviceGetName":
            first.value = b"Orin"
        elif name in ("cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2"):
            self.contexts += 1
        elif name in ("cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"):
            self.contexts -= 1
        elif name == "cuMemGetInfo_v2":
            assert self.contexts == 2  # retained and current
            first.value = 5 << 30
        else:
            assert name == "cuInit"


def load_from(driver, runtime="libcudart.so.12"):
    def load(name):
        if name in ("libcuda.so.1", runtime):
            return driver
        raise OSError(f"{name}: cannot open shared object file")

    return load


@pytest.fixture
def board(tmp_path):
    for name, text in {"etc/nv_tegra_release": TEGRA, "proc/driver/nvidia/version": NVRM}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


def test_a_jetson_is_read(board):
    assert read_device(root=board, load=load_from(Driver())) == Device(
        "Orin", "8.7", 16, True, "540.4.0", "12.6", "12.6", "36.4.3"
    )


def test_what_a_machine_lacks_is_empty(tmp_path):
    found = read_device(root=tmp_path, load=load_from(Driver(), runtime=""))
    assert (found.driver, found.cuda_runtime, found.l4t) == ("", "", "")
    assert l4t_release(tmp_path) == ""


def test_no_driver_is_one_sentence():
    def load(name):
        raise OSError("libcuda.so.1: cannot open shared object file")

    with pytest.raises(DeviceError, match=r"no NVIDIA driver here .*mgdn doctor") as error:
        read_device(load=load)
    assert error.value.exit_code == 3


@pytest.mark.parametrize("function", ["cuInit", "cuDeviceGetAttribute", "cuDriverGetVersion"])
def test_a_refusing_driver_is_one_sentence(function):
    with pytest.raises(DeviceError, match=f"{function} with CUresult 100"):
        read_device(load=load_from(Driver(failing=function)))


def test_free_memory_leaves_no_context_behind():
    driver = Driver()
    assert free_gpu_memory(load=load_from(driver)) == 5 << 30
    assert driver.contexts == 0


def test_a_failed_question_leaves_no_context_behind():
    driver = Driver(failing="cuMemGetInfo_v2")
    with pytest.raises(DeviceError, match="cuMemGetInfo_v2"):
        free_gpu_memory(load=load_from(driver))
    assert driver.contexts == 0


@pytest.mark.gpu
def test_the_gpu_here_is_read():
    found = read_device()
    assert found.gpu and found.sm_count > 0 and float(found.compute_capability) >= 5
    assert free_gpu_memory() > 0
