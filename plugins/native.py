"""The native library: where it is, whether it fits, and DynamicFilter through it.

It is one shared library without dependencies: the CPU kernels behind a C interface (mgdn.h), the
CUDA kernel where nvcc was found, and the ONNX Runtime operation that calls them. pip builds it
where a C++ compiler is installed.
"""

import ctypes
import enum
import functools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mgdn_edge.plugins import __path__ as plugin_folders
from mgdn_edge.plugins.reference import check_shapes

LIBRARY_NAME = "mgdn_native.so"
ABI_VERSION = 3  # MGDN_ABI_VERSION of mgdn.h
HOW_TO_BUILD = (
    "install a C++ compiler (apt install g++), then run: pip install -e . (or pip install .)"
)

Storage = npt.NDArray[np.float32] | npt.NDArray[np.float16]
_UNSUPPORTED_CPU = 5  # MGDN_UNSUPPORTED_CPU
_STORAGES = (np.dtype(np.float32), np.dtype(np.float16))  # MgdnStorage, in its order


class NativeLibraryError(Exception):
    """The library is missing, does not load or is another version; says what to build and how."""


class Implementation(enum.IntEnum):
    """``MgdnImplementation``: which code filters. ``CORE`` is the slow twin of the others."""

    BEST = 0
    CORE = 1
    BASELINE = 2
    AVX2 = 3
    AVX512 = 4


class _Filter(ctypes.Structure):
    """``MgdnDynamicFilter``."""

    _fields_ = (
        ("feature", ctypes.c_void_p),
        ("kernel", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("batch", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("kernel_size", ctypes.c_int32),
        ("upscale", ctypes.c_int32),
        ("storage", ctypes.c_int32),
        ("implementation", ctypes.c_int32),
    )


def find_library(folders: Iterable[str] = plugin_folders, name: str = LIBRARY_NAME) -> Path | None:
    """The built library called ``name``, None where there is none.

    ``folders`` are those of this package: an editable install has two, the source tree and the
    one in site-packages where the build puts the library.
    """
    for folder in folders:
        path = Path(folder) / name
        if path.is_file():
            return path.resolve()
    return None


def load_library(path: Path | None = None) -> ctypes.CDLL:
    """The library, loaded once and for good, its version checked. Raises NativeLibraryError."""
    found = path or find_library()
    if found is None:
        raise NativeLibraryError(f"{LIBRARY_NAME} is not beside mgdn_edge.plugins; {HOW_TO_BUILD}")
    return _load(found)


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
        version = int(library.mgdn_abi_version())
    except (OSError, AttributeError) as error:
        raise NativeLibraryError(f"{path} does not load here ({error}); {HOW_TO_BUILD}") from error
    if version != ABI_VERSION:
        raise NativeLibraryError(
            f"{path} has ABI version {version} but this package needs {ABI_VERSION}; "
            f"build it again: {HOW_TO_BUILD}"
        )
    library.mgdn_status_text.restype = ctypes.c_char_p
    library.mgdn_cuda_architectures.restype = ctypes.c_char_p
    pointer = ctypes.POINTER(_Filter)
    library.mgdn_dynamic_filter_bands.argtypes = (pointer, ctypes.POINTER(ctypes.c_int64))
    library.mgdn_dynamic_filter_run.argtypes = (pointer, ctypes.c_int64, ctypes.c_int64)
    return library


def usable_implementations() -> list[Implementation]:
    """What this machine and build can run, ``BEST`` left out. Raises NativeLibraryError."""
    library = load_library()
    return [
        implementation
        for implementation in Implementation
        if implementation is not Implementation.BEST
        and library.mgdn_implementation_usable(int(implementation))
    ]


def best_implementation() -> Implementation:
    """What ``Implementation.BEST`` means on this machine. Raises NativeLibraryError."""
    return Implementation(load_library().mgdn_best_implementation())


def cuda_architectures() -> tuple[str, ...]:
    """The CUDA architectures in the library, as CMake names them; none where it has no CUDA.

    ``87-real`` runs on GPUs of compute capability 8.7, ``75-virtual`` is compiled by the driver for
    any from 7.5 on. Raises NativeLibraryError.
    """
    text = load_library().mgdn_cuda_architectures().decode()
    return tuple(text.split(",")) if text else ()


def dynamic_filter(
    feature: Storage,
    kernel: Storage,
    kernel_size: int,
    upscale: int = 1,
    threads: int | None = None,
    implementation: Implementation = Implementation.BEST,
    out: Storage | None = None,
) -> Storage:
    """(N, C, H, W), (N, K*K, H/s, W/s) float32 or both float16 -> (N, C, H, W) of that type.

    ``kernel_size`` is K in {3, 5, 7}, ``upscale`` s in {1, 2, 4}; sums run in float32.
    ``threads`` None takes every CPU this process may use; ``out``, contiguous and of the
    feature's shape and type, is written and returned. Raises ValueError where shapes, types or
    attributes disagree, NativeLibraryError where the library or implementation is missing.
    """
    check_shapes(feature.shape, kernel.shape, kernel_size, upscale)
    if feature.dtype not in _STORAGES or feature.dtype != kernel.dtype:
        raise ValueError(
            f"feature is {feature.dtype} and kernel {kernel.dtype}; both must be float32 or both "
            "float16"
        )
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}; at least 1 is needed")
    library = load_library()
    feature, kernel = (np.require(each, requirements=("C", "A")) for each in (feature, kernel))
    out = np.empty_like(feature) if out is None else out
    if out.shape != feature.shape or out.dtype != feature.dtype or not out.flags.carray:
        raise ValueError(
            f"out is {out.dtype} {out.shape}; contiguous {feature.dtype} {feature.shape} is needed"
        )
    filter_ = _Filter(
        feature.ctypes.data,
        kernel.ctypes.data,
        out.ctypes.data,
        *feature.shape,
        kernel_size,
        upscale,
        _STORAGES.index(feature.dtype),
        int(implementation),
    )
    bands = ctypes.c_int64()
    _check(library, library.mgdn_dynamic_filter_bands(filter_, bands))
    _run_bands(library, filter_, bands.value, threads or len(os.sched_getaffinity(0)))
    return out


def _run_bands(library: ctypes.CDLL, filter_: _Filter, bands: int, threads: int) -> None:
    """Run every band on ``threads`` threads; ctypes gives up the interpreter lock meanwhile."""
    run: Any = library.mgdn_dynamic_filter_run
    if threads == 1 or bands == 1:
        _check(library, run(filter_, 0, bands))
        return
    # Runs of neighbouring bands, which share rows; several a thread, as cores are not equally free.
    parts = min(bands, 4 * threads)
    limits = [part * bands // parts for part in range(parts + 1)]
    for status in _pool(threads).map(functools.partial(run, filter_), limits[:-1], limits[1:]):
        _check(library, status)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay, because starting them takes as long as a small filter."""
    return ThreadPoolExecutor(threads, thread_name_prefix="mgdn-filter")


def _check(library: ctypes.CDLL, status: int) -> None:
    if status:
        text = library.mgdn_status_text(status).decode()
        kind = NativeLibraryError if status == _UNSUPPORTED_CPU else ValueError
        raise kind(text)
