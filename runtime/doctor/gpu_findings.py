"""examine_gpu: board, GPU, CUDA, TensorRT, its plugin and the engines kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from mgdn_edge.plugins.tensorrt_plugin import (
    ABI_VERSION,
    BUILD_COMMAND,
    TensorrtPluginError,
    check_plugin,
    find_plugin,
)
from mgdn_edge.runtime.doctor.doctor_report import Finding
from mgdn_edge.runtime.doctor.installation import Installation
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, cache_folder
from mgdn_edge.runtime.fusion.engines.engine_list import list_engines
from mgdn_edge.runtime.fusion.engines.engine_plan import OLDEST
from mgdn_edge.runtime.machine.device import Device, l4t_release

OLDEST_L4T = (36, 4)  # JetPack 6.1, the first with TensorRT 10
UPGRADE = "flash JetPack 6.1 or newer: https://developer.nvidia.com/embedded/jetpack"
NVIDIA_VENDOR, DISPLAY_CLASS = "0x10de", "0x03"
MIB = 1 << 20


def examine_gpu(here: Installation) -> Iterator[Finding]:
    """Everything a GPU backend needs; quiet where neither a board nor a GPU is."""
    device = None
    is_board = bool(board_name(here))
    yield from _board(here)
    try:
        device = here.device()
    except DeviceError as error:
        yield _no_gpu(here, error, is_board)
    else:
        yield Finding("gpu", "ok", describe_device(device))
        yield _cuda(device)
        yield _bindings(here, device)
    tensorrt, version = _tensorrt(here, device, is_board)
    yield tensorrt
    yield _plugin(version)
    yield _engines(device)


def board_name(here: Installation) -> str:
    """A Jetson's model, empty elsewhere."""
    model = here.read(here.root / "proc/device-tree/model").strip("\0 \n")
    if l4t_release(here.root) or "jetson" in model.lower():
        return model or "Jetson"
    return ""


def describe_device(device: Device) -> str:
    """Name, capability and driver in a line."""
    memory = "the board's memory" if device.integrated else "memory of its own"
    return (
        f"{device.gpu}, compute capability {device.compute_capability}, {device.sm_count} SMs, "
        f"{memory}, driver {device.driver or 'of unknown version'}"
    )


def _board(here: Installation) -> Iterator[Finding]:
    name = board_name(here)
    if not name:
        return
    release = l4t_release(here.root)
    jetpack = here.system_package("nvidia-jetpack")
    found = f"{name}, L4T {release or 'unknown'}, JetPack {jetpack or 'package not installed'}"
    parts = tuple(int(part) for part in release.split(".")[:2]) if release else OLDEST_L4T
    if parts < OLDEST_L4T:
        yield Finding("board", "warning", f"{found}: too old for TensorRT 10", UPGRADE)
    else:
        yield Finding("board", "ok", found)


def _no_gpu(here: Installation, error: DeviceError, is_board: bool) -> Finding:
    if is_board:
        in_container = (here.root / ".dockerenv").exists()
        fix = (
            "docker run --runtime nvidia ..."
            if in_container
            else ("sudo apt-get install --reinstall nvidia-l4t-cuda")
        )
        return Finding("gpu", "warning", str(error), fix)
    cards = [
        card
        for card in sorted((here.root / "sys/bus/pci/devices").glob("*"))
        if here.read(card / "vendor").strip() == NVIDIA_VENDOR
        and here.read(card / "class").startswith(DISPLAY_CLASS)
    ]
    if cards:
        found = f"an NVIDIA card at {cards[0].name} without a usable driver: {error}"
        return Finding("gpu", "warning", found, "install NVIDIA's driver, then run: nvidia-smi")
    return Finding("gpu", "ok", "none: the CPU fuses")


def _cuda(device: Device) -> Finding:
    """A CUDA runtime of a newer major version than the driver's does not start."""
    found = f"the driver runs CUDA up to {device.cuda_driver}"
    if not device.cuda_runtime:
        return Finding("cuda", "ok", f"{found}; no libcudart on the library path")
    found += f", libcudart is {device.cuda_runtime}"
    if _major(device.cuda_runtime) > _major(device.cuda_driver):
        toolkit = f"cuda-toolkit-{device.cuda_driver.replace('.', '-')}"
        return Finding("cuda", "warning", f"{found}: too new", f"sudo apt-get install -y {toolkit}")
    return Finding("cuda", "ok", found)


def _bindings(here: Installation, device: Device) -> Finding:
    driver = _major(device.cuda_driver)
    fix = f"pip install 'cuda-bindings>=12.6.1,<{driver + 1}'"
    installed = here.package("cuda-bindings")
    if not installed:
        return Finding("cuda-bindings", "warning", "none: the GPU backends need it", fix)
    if _major(installed) > driver:
        found = f"{installed} is for CUDA {_major(installed)}, the driver's is {driver}"
        return Finding("cuda-bindings", "warning", found, fix)
    return Finding("cuda-bindings", "ok", installed)


def _tensorrt(here: Installation, device: Device | None, is_board: bool) -> tuple[Finding, str]:
    """What was found, and its version, empty where it does not import."""
    try:
        version = here.module("tensorrt")
    except (ImportError, OSError) as error:
        fix = _install_tensorrt(here, device, is_board)
        return Finding("tensorrt", "warning", f"it does not import: {error}", fix), ""
    if version is None:
        return _missing_tensorrt(here, device, is_board), ""
    if _numbers(version) < OLDEST:
        found = f"{version}, and {OLDEST[0]}.{OLDEST[1]} or newer is needed"
        fix = UPGRADE if is_board else "pip install --upgrade tensorrt"
        return Finding("tensorrt", "warning", found, fix), version
    return Finding("tensorrt", "ok", version), version


def _missing_tensorrt(here: Installation, device: Device | None, is_board: bool) -> Finding:
    """Why it cannot be imported: hidden, for another Python, or not installed."""
    copies = sorted(here.root.glob("usr/lib/python3*/dist-packages/tensorrt"))
    ours = f"python{here.python[0]}.{here.python[1]}"
    name = "tensorrt"
    if copies:
        names = [copy.parents[1].name for copy in copies]
        fitting = ours in names or "python3" in names  # python3: of the system's own version
        if not fitting:
            found = f"it is installed for {', '.join(names)} and this is {ours}"
            fix = f"/usr/bin/{names[0]} -m venv --system-site-packages .venv"
            return Finding(name, "warning", found, fix)
        if here.is_isolated():
            found = (
                f"this virtual environment hides {copies[0]}: it was made without "
                "--system-site-packages"
            )
            fix = f"{sys.executable} -m venv --system-site-packages --upgrade {here.prefix}"
            return Finding(name, "warning", found, fix)
        fix = _install_tensorrt(here, device, is_board)
        return Finding(name, "warning", f"{copies[0]} is not on this Python's path", fix)
    if device is None and not is_board:
        return Finding(name, "ok", "none, and no GPU that could use it")
    found = "none: --backend tensorrt cannot run"
    return Finding(name, "warning", found, _install_tensorrt(here, device, is_board))


def _install_tensorrt(here: Installation, device: Device | None, is_board: bool) -> str:
    if is_board:
        has_library = any(map(here.system_package, ("libnvinfer10", "libnvinfer11")))
        package = "python3-libnvinfer" if has_library else "nvidia-jetpack"
        return f"sudo apt-get install -y {package}"
    cuda = _major(device.cuda_driver) if device is not None and device.cuda_driver else 12
    return f"pip install tensorrt-cu{cuda}"


def _plugin(tensorrt: str) -> Finding:
    """Its absence is worth a warning only where TensorRT is; everything else runs without."""
    name = "tensorrt plugin"
    if find_plugin() is None:
        if not tensorrt:
            return Finding(name, "ok", "none, and no TensorRT that could use it")
        found = "none: TensorRT cannot run a network with DynamicFilter"
        return Finding(name, "warning", found, BUILD_COMMAND)
    try:
        plugin = check_plugin()
    except TensorrtPluginError as error:
        return Finding(name, "warning", str(error), BUILD_COMMAND)
    found = (
        f"{plugin.path}, ABI {ABI_VERSION}, for TensorRT {plugin.tensorrt_major}, "
        f"sha256 {plugin.sha256[:12]}"
    )
    if tensorrt and _major(tensorrt) != plugin.tensorrt_major:
        return Finding(name, "warning", f"{found}, but {tensorrt} runs here", BUILD_COMMAND)
    return Finding(name, "ok", found)


def _engines(device: Device | None) -> Finding:
    """What is kept, and whether it could be used and added to."""
    name, folder = "engine cache", cache_folder()
    try:
        engines = list_engines(EngineCache(folder))
    except DeviceError as error:
        return Finding(name, "warning", str(error), f"chmod o-w {folder} {folder / 'engines'}")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        found = f"{folder} cannot be written: each start would build its engines again"
        return Finding(name, "warning", found, "export MGDN_CACHE=FOLDER")
    if not engines:
        return Finding(name, "ok", f"no engines in {folder}")
    broken = [engine for engine in engines if engine.state != "sound"]
    size = sum(engine.bytes for engine in engines) / MIB
    found = f"{len(engines)} engines, {size:.0f} MiB, in {folder}"
    if broken:
        return Finding(name, "warning", f"{found}; {len(broken)} broken", "mgdn cache gc")
    others = [e for e in engines if e.record and device and e.record.key.gpu != device.gpu]
    if others:
        found += f"; {len(others)} of another GPU"
    return Finding(name, "ok", found)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _major(version: str) -> int:
    return (_numbers(version) or (0,))[0]
