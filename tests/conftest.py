"""Markers say what a test needs; a skip says what is missing and how to get it."""

import ctypes
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

import mgdn_edge  # noqa: F401 - before a test imports ONNX Runtime: its telemetry is then off

pytest_plugins = ["support.browser", "support.clips", "support.drawn_street"]

REPOSITORY = Path(__file__).resolve().parent.parent
DATA_ROOT = Path(os.environ.get("MGDN_SHARED", REPOSITORY.parent / "shared"))
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"  # where Debian keeps PyGObject
TENSORRT_ROOT = Path(sys.prefix) / "tensorrt"  # made by `make tensorrt`


def missing_data() -> str | None:
    """Why ``data`` tests cannot run here, or None."""
    if DATA_ROOT.is_dir():
        return None
    return f"needs the shared images and golden vectors: {DATA_ROOT} (or set MGDN_SHARED)"


def missing_rtx() -> str | None:
    """Why ``rtx`` tests cannot run here, or None."""
    if find_spec("tensorrt_rtx_bindings") is not None:
        return None
    return "needs TensorRT-RTX: pip install -r tests/requirements-rtx.txt (x86-64)"


def missing_tensorflow() -> str | None:
    """Why ``tensorflow`` tests cannot run here, or None."""
    if find_spec("tensorflow") is not None:
        return None
    return "needs TensorFlow: pip install tensorflow-cpu"


def missing_network() -> str | None:
    """Why ``network`` tests cannot run here, or None: one small question to the index."""
    command = [sys.executable, "-m", "pip", "index", "versions", "msgspec", "--quiet"]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return None
    return "needs the package index, which does not answer from here"


def missing_compiler() -> str | None:
    """Why ``compiler`` tests cannot run here, or None."""
    if shutil.which(os.environ.get("CXX", "g++")) is not None:
        return None
    return "needs a C++ compiler: apt-get install -y g++"


def missing_cmake() -> str | None:
    """Why ``cmake`` tests cannot run here, or None."""
    if shutil.which("cmake") and shutil.which("make"):
        return None
    return "needs CMake and make: apt-get install -y cmake make"


def missing_native() -> str | None:
    """Why ``native`` tests cannot run here, or None."""
    from mgdn_edge.plugins.native import NativeLibraryError, load_library

    try:
        load_library()
    except NativeLibraryError as error:
        return f"needs the native library: {error}"
    return None


def find_nvcc() -> str | None:
    """The CUDA compiler, also where a Jetson keeps it off the path."""
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def missing_nvcc() -> str | None:
    """Why ``nvcc`` tests cannot run here, or None."""
    if find_nvcc() is not None:
        return None
    return "needs nvcc: apt-get install -y cuda-nvcc-13-0 (NVIDIA's repository), or JetPack's"


def missing_gpu() -> str | None:
    """Why ``gpu`` tests cannot run here, or None: the driver is asked, no library needed."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "needs an NVIDIA GPU: no driver (libcuda.so.1) here"
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "needs an NVIDIA GPU: the driver finds none"
    return None


def missing_kernels(name: str) -> str | None:
    """Why tests of one instruction set's kernels cannot run here, or None."""
    from mgdn_edge.plugins.native import Implementation, NativeLibraryError, usable_implementations

    try:
        usable = usable_implementations()
    except NativeLibraryError as error:
        return f"needs the native library: {error}"
    if Implementation[name] in usable:
        return None
    return f"needs a processor with {name} and a build for it"


def missing_readelf() -> str | None:
    """Why ``readelf`` tests cannot run here, or None."""
    return None if shutil.which("readelf") else "needs readelf: apt-get install -y binutils"


def missing_cuda_library() -> str | None:
    """Why ``cuda_library`` tests cannot run here, or None."""
    from mgdn_edge.plugins.native import cuda_architectures

    if missing_native() is None and cuda_architectures():
        return None
    return "needs a library with CUDA: install nvcc, then pip install -e ."


def missing_cuda_provider() -> str | None:
    """Why ``cuda_provider`` tests cannot run here, or None."""
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            return None
    return "needs onnxruntime-gpu: pip install 'mgdn-edge[gpu]'"


def missing_torch_cuda() -> str | None:
    """Why ``torch_cuda`` tests cannot run here, or None."""
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            return None
    return "needs PyTorch's CUDA build and a GPU"


def missing_driverless() -> str | None:
    """Why ``driverless`` tests cannot run here, or None."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return "needs a machine without an NVIDIA driver"


def missing_gstreamer(python: str, packages: str, *elements: str, versions: str = "") -> str | None:
    """Why tests with these GStreamer elements cannot run under ``python``, or None."""
    probe = (
        f"import sys; sys.path.append({SYSTEM_PACKAGES!r}); import gi; "
        f"[gi.require_version(name, '1.0') for name in {versions.split()!r}]; "
        "from gi.repository import Gst; Gst.init(None); "
        f"sys.exit(not all(map(Gst.ElementFactory.find, {elements!r})))"
    )
    if shutil.which(python) is not None:
        command = [python, "-c", probe]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return None
    return f"needs GStreamer in {python}: apt-get install --no-install-recommends {packages}"


def missing_browser() -> str | None:
    """Why ``browser`` tests cannot run here, or None."""
    if shutil.which("chromium") is not None:
        return None
    return "needs Chromium: apt-get install -y chromium"


def missing_tensorrt(*folders: str) -> str | None:
    """Why tests with these folders of `make tensorrt` cannot run here, or None."""
    absent = [name for name in folders if not (TENSORRT_ROOT / name / ".installed").is_file()]
    if absent:
        return f"needs TensorRT {' and '.join(absent)} in {TENSORRT_ROOT}: make tensorrt"
    if shutil.which("cmake") is None or shutil.which(os.environ.get("CXX", "c++")) is None:
        return "needs cmake and a C++ compiler: apt-get install -y cmake g++"
    return None


def missing_pinned() -> str | None:
    """Why tests of what typer writes cannot run here, or None."""
    (wanted,) = re.findall(r"^typer==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.M)
    if version("typer") == wanted:
        return None
    return f"needs typer {wanted}: pip install -c constraints.txt typer"


MISSING = {
    "pinned": missing_pinned,
    "readelf": missing_readelf,
    "cuda_library": missing_cuda_library,
    "cuda_provider": missing_cuda_provider,
    "torch_cuda": missing_torch_cuda,
    "driverless": missing_driverless,
    "gstreamer": partial(
        missing_gstreamer,
        sys.executable,
        "python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base",
        "videotestsrc",
        versions="GstVideo GstApp",
    ),
    "rtsp_server": partial(
        missing_gstreamer,
        "/usr/bin/python3",
        "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad,ugly}",
        *("x264enc", "h264parse", "mpegtsmux", "rtph264pay"),
        versions="GstRtspServer",
    ),
    "data": missing_data,
    "rtx": missing_rtx,
    "tensorflow": missing_tensorflow,
    "network": missing_network,
    "native": missing_native,
    "compiler": missing_compiler,
    "cmake": missing_cmake,
    "nvcc": missing_nvcc,
    "gpu": missing_gpu,
    "avx2": partial(missing_kernels, "AVX2"),
    "avx512": partial(missing_kernels, "AVX512"),
    "browser": missing_browser,
    "tensorrt_headers": partial(missing_tensorrt, "headers"),
    "lean": partial(missing_tensorrt, "headers", "lean-10", "lean-11"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--native-library FILE``: a build of the library other than the installed one."""
    parser.addoption("--native-library", type=Path, help="the native library to test")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C be tested; put the library asked for in place of the installed one.

    A shell's background job ignores SIGINT, and so would every program that a test starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    library = config.getoption("--native-library")
    if library is None:
        return
    from mgdn_edge.plugins import native

    installed = native.find_library
    if not library.is_file():
        raise pytest.UsageError(f"--native-library {library} is no file")
    # Tests of the search itself give folders and keep it.
    native.find_library = lambda *folders: installed(*folders) if folders else library.resolve()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests whose marker asks for what this machine lacks."""
    for marker, find_reason in MISSING.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        reason = find_reason() if marked else None
        for item in marked if reason else ():
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with ``data/`` and ``golden/``; only for tests marked ``data``."""
    return DATA_ROOT


@pytest.fixture(scope="session")
def tensorrt_root() -> Path:
    """Folder with ``headers``, ``lean-10`` and ``lean-11``; see `make tensorrt`."""
    return TENSORRT_ROOT


@pytest.fixture(scope="session")
def nvcc() -> str | None:
    """The CUDA compiler; only for tests marked ``nvcc``."""
    return find_nvcc()


@pytest.fixture
def fill_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``fill_disk(".html")``: from now on there is no room for files of these kinds; () ends it."""
    from mgdn_edge.runtime import whole_file

    write = whole_file._write

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(*suffixes: str) -> None:
        def write_or_fail(path: Path, data: bytes, *, replace: bool) -> None:
            with monkeypatch.context() as patch:
                if path.suffix in suffixes:
                    patch.setattr(os, "fsync", fail)
                write(path, data, replace=replace)

        monkeypatch.setattr(whole_file, "_write", write_or_fail)

    return fill


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY
