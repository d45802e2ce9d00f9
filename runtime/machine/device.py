"""Device: the facts about a GPU and its software that an engine is bound to.

Asked of the driver's own library, so that no CUDA package is needed and no CUDA context is made:
a context costs memory that a build on a small board needs.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from mgdn_edge.runtime.errors import DeviceError

DRIVER_LIBRARY = "libcuda.so.1"
RUNTIME_LIBRARIES = ("libcudart.so.13", "libcudart.so.12")
# CUdevice_attribute of cuda.h; these numbers are part of the driver's ABI.
MULTIPROCESSOR_COUNT = 16
INTEGRATED = 18
COMPUTE_CAPABILITY_MAJOR = 75
COMPUTE_CAPABILITY_MINOR = 76
NAME_BYTES = 256

LoadLibrary = Callable[[str], ctypes.CDLL]


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GPU and the software under it; a text is empty where it is not known.

    ``integrated`` is true where the GPU uses the board's own memory, as on a Jetson.
    ``cuda_driver`` is the newest CUDA the driver runs, ``cuda_runtime`` that of the libcudart a
    program would load, ``l4t`` the board's release ("36.4.3").
    """

    gpu: str
    compute_capability: str
    sm_count: int
    integrated: bool
    driver: str
    cuda_driver: str
    cuda_runtime: str
    l4t: str


# Where a builder makes engines ahead of time, for GPUs it need not see.
NO_DEVICE = Device("", "", 0, False, "", "", "", "")


def read_device(
    ordinal: int = 0, root: Path = Path("/"), load: LoadLibrary = ctypes.CDLL
) -> Device:
    """The GPU with that number; ``root`` is where /etc and /proc are. DeviceError without one."""
    driver = _load_driver(load)
    attributes = [
        _read_int(driver, "cuDeviceGetAttribute", attribute, ordinal)
        for attribute in (
            COMPUTE_CAPABILITY_MAJOR,
            COMPUTE_CAPABILITY_MINOR,
            MULTIPROCESSOR_COUNT,
            INTEGRATED,
        )
    ]
    major, minor, sm_count, integrated = attributes
    name = ctypes.create_string_buffer(NAME_BYTES)
    _call(driver, "cuDeviceGetName", name, NAME_BYTES, ordinal)
    return Device(
        gpu=name.value.decode(errors="replace"),
        compute_capability=f"{major}.{minor}",
        sm_count=sm_count,
        integrated=bool(integrated),
        driver=_driver_version(root),
        cuda_driver=_cuda_version(_read_int(driver, "cuDriverGetVersion")),
        cuda_runtime=_runtime_version(load),
        l4t=l4t_release(root),
    )


def free_gpu_memory(ordinal: int = 0, load: LoadLibrary = ctypes.CDLL) -> int:
    """Bytes free on a GPU with memory of its own; makes its primary context for a moment."""
    driver = _load_driver(load)
    context, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    _call(driver, "cuDevicePrimaryCtxRetain", ctypes.byref(context), ordinal)
    try:
        _call(driver, "cuCtxPushCurrent_v2", context)
        try:
            _call(driver, "cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        finally:
            _call(driver, "cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
    finally:
        _call(driver, "cuDevicePrimaryCtxRelease_v2", ordinal)
    return free.value


def l4t_release(root: Path = Path("/")) -> str:
    """A Jetson's release, such as "36.4.3", empty elsewhere."""
    text = _read_text(root / "etc/nv_tegra_release")
    found = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else ""


def _load_driver(load: LoadLibrary) -> ctypes.CDLL:
    try:
        driver = load(DRIVER_LIBRARY)
    except OSError as error:
        raise DeviceError(
            f"no NVIDIA driver here ({error}); engines are built on the board that runs them, "
            "see: mgdn doctor"
        ) from error
    _call(driver, "cuInit", 0)
    return driver


def _read_int(driver: ctypes.CDLL, function: str, *arguments: int) -> int:
    value = ctypes.c_int()
    _call(driver, function, ctypes.byref(value), *arguments)
    return value.value


def _call(driver: ctypes.CDLL, function: str, *arguments: object) -> None:
    status = getattr(driver, function)(*arguments)
    if status:
        raise DeviceError(
            f"the NVIDIA driver refused {function} with CUresult {status}; no usable GPU: "
            "see nvidia-smi, or in a container: --runtime nvidia"
        )


def _runtime_version(load: LoadLibrary) -> str:
    for name in RUNTIME_LIBRARIES:
        try:
            runtime = load(name)
        except OSError:
            continue
        version = ctypes.c_int()
        if runtime.cudaRuntimeGetVersion(ctypes.byref(version)) == 0:
            return _cuda_version(version.value)
    return ""


def _driver_version(root: Path) -> str:
    found = re.search(
        r"Module.*?\s(\d+\.\d[\d.]*)\s", _read_text(root / "proc/driver/nvidia/version")
    )
    return found[1] if found else ""


def _cuda_version(number: int) -> str:
    """12060 -> "12.6"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _read_text(path: Path) -> str:
    """The file's text, empty where there is none: most of these exist on some boards only."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
