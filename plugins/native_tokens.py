"""NormalizedLinear and ResidualMlp through the native library's C interface (mgdn.h)."""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from mgdn_edge.plugins.native import Implementation, load_library
from mgdn_edge.plugins.token_layers import check_linear, check_mlp

Floats32 = npt.NDArray[np.float32]
_OPERANDS = ("x", "scale", "shift", "weight1", "bias1", "weight2", "bias2", "a", "weight0", "bias0")


class _Layer(ctypes.Structure):
    """``MgdnTokenLayer``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in (*_OPERANDS, "normed", "out")),
        ("tokens", ctypes.c_int64),
        ("channels", ctypes.c_int32),
        ("hidden", ctypes.c_int32),
        ("implementation", ctypes.c_int32),
    )


def normalized_linear(
    x: Floats32,
    scale: Floats32,
    shift: Floats32,
    weight1: Floats32,
    bias1: Floats32,
    *,
    threads: int | None = None,
    implementation: Implementation = Implementation.BEST,
) -> tuple[Floats32, Floats32]:
    """(N, H, W, C), (C,), (C,), (C, M), (M,) float32 -> (N, H, W, M), (N, H, W, C) float32.

    C is at most 64, M at most 256; ``threads`` None takes every CPU this process may use. Raises
    ValueError where shapes or types disagree, NativeLibraryError where the library is missing.
    """
    operands = (x, scale, shift, weight1, bias1)
    check_linear([each.shape for each in operands])
    result = np.empty((*x.shape[:3], bias1.size), np.float32)
    normed = np.empty(x.shape, np.float32)
    _run(operands, normed, result, threads, implementation)
    return result, normed


def residual_mlp(
    x: Floats32,
    scale: Floats32,
    shift: Floats32,
    weight1: Floats32,
    bias1: Floats32,
    weight2: Floats32,
    bias2: Floats32,
    a: Floats32,
    weight0: Floats32,
    bias0: Floats32,
    *,
    threads: int | None = None,
    implementation: Implementation = Implementation.BEST,
) -> Floats32:
    """x, a (N, H, W, C); weights (C, M), (M, C), (C, C), vectors to fit -> (N, H, W, C) float32.

    Limits and errors are those of ``normalized_linear``.
    """
    operands = (x, scale, shift, weight1, bias1, weight2, bias2, a, weight0, bias0)
    check_mlp([each.shape for each in operands])
    result = np.empty(x.shape, np.float32)
    _run(operands, None, result, threads, implementation)
    return result


def _run(
    operands: tuple[Floats32, ...],
    normed: Floats32 | None,
    result: Floats32,
    threads: int | None,
    implementation: Implementation,
) -> None:
    if any(each.dtype != np.float32 for each in operands):
        raise ValueError(f"types are {[str(each.dtype) for each in operands]}; float32 is needed")
    library = load_library()
    kept = [np.require(each, requirements=("C", "A")) for each in operands]
    x = kept[0]
    layer = _Layer(
        **{name: each.ctypes.data for name, each in zip(_OPERANDS, kept, strict=False)},
        normed=None if normed is None else normed.ctypes.data,
        out=result.ctypes.data,
        tokens=x.size // x.shape[3],
        channels=x.shape[3],
        hidden=kept[4].size,
        implementation=int(implementation),
    )
    call, bands = ctypes.byref(layer), ctypes.c_int64()
    status = library.mgdn_token_layer_bands(call, ctypes.byref(bands))
    if status:
        raise ValueError(_sentence(library, status))

    def run(band: int) -> int:
        limits = ctypes.c_int64(band), ctypes.c_int64(band + 1)
        return int(library.mgdn_token_layer_run(call, *limits))

    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        for status in pool.map(run, range(bands.value)):
            if status:
                raise ValueError(_sentence(library, status))


def _sentence(library: ctypes.CDLL, status: int) -> str:
    text: str = library.mgdn_status_text(status).decode()
    return f"{text} (a token layer takes at most 64 channels and 256 hidden values)"
