"""examine_machine: what is installed, what is missing, and the command that fixes it."""

import importlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from mgdn_edge import __version__
from mgdn_edge.plugins.native import (
    HOW_TO_BUILD,
    NativeLibraryError,
    best_implementation,
    cuda_architectures,
    find_library,
)
from mgdn_edge.runtime.bundle.network_names import BASELINES, packaged_bundles
from mgdn_edge.runtime.doctor.doctor_report import DoctorReport, Finding
from mgdn_edge.runtime.doctor.gpu_findings import examine_gpu
from mgdn_edge.runtime.doctor.installation import Installation
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.packing.verification import verify_bundle

# Distribution and the module it brings.
DEPENDENCIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "opencv-python-headless": "cv2",
    "av": "av",
    "typer": "typer",
    "rich": "rich",
    "msgspec": "msgspec",
    "jinja2": "jinja2",
    "tomli-w": "tomli_w",
    **({} if sys.version_info >= (3, 11) else {"tomli": "tomli"}),
}
BACKENDS = ("onnxruntime", "onnxruntime-gpu")
TELEMETRY = "ORT_DISABLE_TELEMETRY"  # set in mgdn_edge/__init__.py, unless the user has set it
TELEMETRY_OFF = ("1", "true", "yes", "on")  # what ONNX Runtime 1.32 takes for yes; all else is no
REINSTALL = "pip install --force-reinstall --no-deps mgdn-edge"
OLDEST_PYTHON = (3, 10)
MACHINES = ("x86_64", "aarch64")
# What ONNX Runtime's CPU kernels and ours look for: x86-64 and aarch64 names of /proc/cpuinfo.
SIMD_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "asimd", "asimddp", "i8mm")
DEFAULT_NETWORK = "mgdn-edge"


def examine_machine(here: Installation | None = None) -> DoctorReport:
    """Look at this machine and installation, or at the one ``here`` shows."""
    here = here or Installation()
    checks: tuple[Iterator[Finding], ...] = (
        _python(),
        _dependencies(here),
        _backend(here),
        _telemetry(),
        _processor(here),
        _native_library(),
        _video(),
        examine_gpu(here),
        _networks(),
    )
    findings = tuple(finding for check in checks for finding in check)
    return DoctorReport(all(finding.state != "blocks" for finding in findings), findings)


def _python() -> Iterator[Finding]:
    found = f"mgdn-edge {__version__}, Python {platform.python_version()}, {platform.platform()}"
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("python", "blocks", found, "install Python 3.10 or newer")
    elif sys.platform != "linux" or platform.machine() not in MACHINES:
        yield Finding("python", "warning", f"{found}: only Linux on {MACHINES} is tested")
    else:
        yield Finding("python", "ok", found)


def _dependencies(here: Installation) -> Iterator[Finding]:
    """Each runtime dependency: installed, and importable; those that are share a finding."""
    sound = []
    for name, module in DEPENDENCIES.items():
        installed, problem = _try_import(here, name, module)
        full = here.package("opencv-python") if module == "cv2" else ""
        if problem and full:
            sound.append(f"opencv-python {full}")
        elif problem:
            yield Finding(name, "blocks", problem, f"pip install --force-reinstall {name}")
        else:
            sound.append(f"{name} {installed}")
    if sound:
        yield Finding("dependencies", "ok", ", ".join(sound))
    if here.package("opencv-python") and here.package("opencv-python-headless"):
        yield Finding(
            "opencv",
            "warning",
            "opencv-python and opencv-python-headless overwrite each other's files",
            "pip uninstall -y opencv-python opencv-python-headless && "
            "pip install opencv-python-headless",
        )


def _backend(here: Installation) -> Iterator[Finding]:
    installed = [name for name in BACKENDS if here.package(name)]
    if len(installed) == 2:
        yield Finding(
            "backend",
            "blocks",
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files",
            f"pip uninstall -y {' '.join(BACKENDS)} && {_install_backend(here)}",
        )
        return
    if not installed:
        found = "no ONNX Runtime: only the baselines can run"
        yield Finding("backend", "blocks", found, _install_backend(here))
        return
    text, problem = _try_import(here, installed[0], "onnxruntime")
    if problem:
        fix = f"pip install --force-reinstall {installed[0]}"
        yield Finding("backend", "blocks", problem, fix)
        return
    import onnxruntime

    providers = ", ".join(onnxruntime.get_available_providers())
    yield Finding("backend", "ok", f"{installed[0]} {text} ({providers})")


def _telemetry() -> Iterator[Finding]:
    """Whether ONNX Runtime may write a device id below HOME and upload events."""
    value = os.environ.get(TELEMETRY, "")
    if value.strip().lower() in TELEMETRY_OFF:
        found = f"ONNX Runtime's telemetry off ({TELEMETRY}={value})"
    else:
        found = f"ONNX Runtime's telemetry on, because you set {TELEMETRY}={value}"
    yield Finding("telemetry", "ok", found)


def _install_backend(here: Installation) -> str:
    """The extra for this machine; boards have no onnxruntime-gpu on the package index."""
    try:
        extra = "cpu" if here.device().integrated else "gpu"
    except DeviceError:
        extra = "cpu"
    return f"pip install 'mgdn-edge[{extra}]'"


def _processor(here: Installation) -> Iterator[Finding]:
    usable, count = len(os.sched_getaffinity(0)), os.cpu_count()
    flags: set[str] = set()
    for line in here.read(here.root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            flags.update(value.split())
    simd = ", ".join(flag for flag in SIMD_FLAGS if flag in flags) or "no SIMD flags stated"
    yield Finding("processor", "ok", f"{usable} of {count} CPUs usable; {simd}")


def _native_library() -> Iterator[Finding]:
    """Its absence only slows; one that does not load stops every network that filters."""
    path = find_library()
    if path is None:
        found = "none: DynamicFilter runs as the standard operators of its function body, slower"
        yield Finding("native library", "warning", found, HOW_TO_BUILD)
        return
    try:
        implementation = best_implementation()
        architectures = cuda_architectures()
    except NativeLibraryError as error:
        yield Finding("native library", "blocks", str(error), HOW_TO_BUILD)
        return
    cuda = f"CUDA kernel for {', '.join(architectures)}" if architectures else "no CUDA kernel"
    yield Finding("native library", "ok", f"{path}, using {implementation.name}; {cuda}")


def _video() -> Iterator[Finding]:
    try:
        import av
    except ImportError:
        return  # reported among the dependencies
    fix = "pip install --force-reinstall --only-binary av av"
    codecs: tuple[tuple[str, Literal["r", "w"]], ...] = (("h264", "r"), ("libx264", "w"))
    for codec, mode in codecs:
        name = f"{codec} {'decoder' if mode == 'r' else 'encoder'}"
        if _has_codec(codec, mode):
            yield Finding(name, "ok", f"in PyAV {av.__version__}")
        else:
            found = f"PyAV {av.__version__} has none: no H.264 video, image folders still work"
            yield Finding(name, "warning", found, fix)


def _has_codec(codec: str, mode: Literal["r", "w"]) -> bool:
    import av

    try:
        av.Codec(codec, mode)
    except ValueError:  # av.codec.codec.UnknownCodecError
        return False
    return True


def _networks() -> Iterator[Finding]:
    bundles = packaged_bundles()
    for name, path in sorted(bundles.items()):
        yield _network(name, path)
    if DEFAULT_NETWORK not in bundles:
        found = "the package came without its default network; commands need --bundle or --network"
        yield Finding(f"network {DEFAULT_NETWORK}", "blocks", found, REINSTALL)
    yield Finding("baselines", "ok", ", ".join(BASELINES))


def _network(name: str, path: Path) -> Finding:
    try:
        verdict = verify_bundle(path)
    except UserError as error:
        return Finding(f"network {name}", "blocks", str(error), REINSTALL)
    except ImportError as error:  # its package has a finding, and a fix, of its own
        return Finding(f"network {name}", "warning", f"not verified: {error}")
    found = f"{verdict.files} digests and {len(verdict.golden)} golden pairs match"
    return Finding(f"network {name}", "ok", found)


def _try_import(here: Installation, distribution: str, module: str) -> tuple[str, str]:
    """(version, "") of a distribution whose module imports, else ("", what is wrong)."""
    installed = here.package(distribution)
    if not installed:
        return "", f"{distribution} is not installed"
    try:
        importlib.import_module(module)
    except ImportError as error:
        return "", f"{distribution} {installed} does not import: {error}"
    return installed, ""
