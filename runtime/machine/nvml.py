"""read_gpus: clocks, temperature, power and throttling as NVIDIA's driver states them.

Through ``pynvml`` (distribution nvidia-ml-py) where it is installed and a driver answers. Jetson
boards up to JetPack 6 have no NVML: their GPU's clock and power are in /sys.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import msgspec

# nvml.h, nvmlClocksEventReasons*: why clocks are lower than asked for. Idle (1) and the
# application's own setting (2) are not throttling.
THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


class GpuState(msgspec.Struct, frozen=True):
    """One GPU now: MHz, degrees Celsius, watts (None where its driver does not say)."""

    name: str
    sm_mhz: float
    memory_mhz: float
    celsius: float
    watts: float | None
    throttle_reasons: tuple[str, ...]


def read_gpus() -> tuple[GpuState, ...]:
    """Every GPU the driver shows; empty without pynvml, without a driver, and on old Jetsons."""
    nvml = _open_nvml()
    if nvml is None:
        return ()
    states = (_read_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
    return tuple(state for state in states if state is not None)


def _read_gpu(nvml: ModuleType, index: int) -> GpuState | None:
    try:
        return _read_device(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
    except nvml.NVMLError:  # a partitioned or lost GPU does not state its clocks
        return None


def _read_device(nvml: ModuleType, device: object) -> GpuState:
    name = nvml.nvmlDeviceGetName(device)
    try:
        watts = nvml.nvmlDeviceGetPowerUsage(device) / 1e3
    except nvml.NVMLError:  # not every board measures it
        watts = None
    reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)
    return GpuState(
        name=name.decode() if isinstance(name, bytes) else name,
        sm_mhz=nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM),
        memory_mhz=nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM),
        celsius=nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
        watts=watts,
        throttle_reasons=tuple(reason for bit, reason in THROTTLE_REASONS.items() if reasons & bit),
    )


@cache
def _open_nvml() -> ModuleType | None:
    """The module after nvmlInit, once a process; None where it or the driver is missing."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml
