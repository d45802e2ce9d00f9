"""WindowAttention through the native library's C interface (mgdn.h)."""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from mgdn_edge.plugins.native import Implementation, load_library
from mgdn_edge.plugins.window_attention import check_attention


class _Attention(ctypes.Structure):
    """``MgdnWindowAttention``."""

    _fields_ = (
        ("qkv", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("batch", ctypes.c_int64),
        ("height", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("heads", ctypes.c_int32),
        ("head_size", ctypes.c_int32),
        ("window", ctypes.c_int32),
        ("shift", ctypes.c_int32),
        ("implementation", ctypes.c_int32),
    )


def window_attention(
    qkv: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    heads: int,
    window: int,
    shift: int = 0,
    threads: int | None = None,
    implementation: Implementation = Implementation.BEST,
) -> npt.NDArray[np.float32]:
    """(N, H, W, 3 * heads * d), (heads, T, T) float32 -> (N, H, W, heads * d) float32.

    ``window`` is 4 or 8, d at most 64; ``threads`` None takes every CPU this process may use.
    Raises ValueError where shapes, types or attributes disagree, NativeLibraryError where the
    library is missing.
    """
    check_attention(qkv.shape, bias.shape, heads, window, shift)
    if qkv.dtype != np.float32 or bias.dtype != np.float32:
        raise ValueError(f"qkv is {qkv.dtype} and bias {bias.dtype}; both must be float32")
    library: Any = load_library()
    qkv, bias = (np.require(each, requirements=("C", "A")) for each in (qkv, bias))
    batch, height, width, triple = qkv.shape
    out = np.empty((batch, height, width, triple // 3), np.float32)
    attention = _Attention(
        qkv.ctypes.data,
        bias.ctypes.data,
        out.ctypes.data,
        batch,
        height,
        width,
        heads,
        triple // 3 // heads,
        window,
        shift,
        int(implementation),
    )
    call, bands = ctypes.byref(attention), ctypes.c_int64()
    status = library.mgdn_window_attention_bands(call, ctypes.byref(bands))
    if status:
        raise ValueError(library.mgdn_status_text(status).decode())

    def run(band: int) -> int:
        limits = ctypes.c_int64(band), ctypes.c_int64(band + 1)
        return int(library.mgdn_window_attention_run(call, *limits))

    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        for status in pool.map(run, range(bands.value)):
            if status:
                raise ValueError(library.mgdn_status_text(status).decode())
    return out
