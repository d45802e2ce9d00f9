"""The CUDA kernel's very source, built by g++ and run on a CPU: see cuda_runtime.h."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

from mgdn_edge.plugins.native import _Filter

HERE = Path(__file__).resolve().parent
PLUGINS = HERE.parents[2] / "plugins"
KERNEL = PLUGINS / "cuda" / "dynamic_filter.cu"
STORAGES = (np.float32, np.float16)  # MgdnStorage, in its order
OK, NULL_POINTER, BAD_SHAPE, BAD_ATTRIBUTE, CUDA_FAILED = 0, 1, 2, 3, 6  # MgdnStatus

# Grids of at most 2x2x2 blocks: nearly every case then takes several launches, as only images of
# more than 65535 tiles would on a device.
FLAGS = (
    "-std=c++14 -O2 -g -Wall -Wextra -Wno-unknown-pragmas -Werror -fPIC -shared -DMGDN_MAX_GRID=2"
)


def build_library(folder, *flags, edit=lambda source: source):
    """Build the kernel, its source changed by ``edit``, into ``folder``; the library's path."""
    source = folder / "dynamic_filter.cu"
    source.write_text(edit(KERNEL.read_text()))
    library = folder / "mgdn_cuda_on_host.so"
    includes = [f"-I{path}" for path in (HERE, PLUGINS, PLUGINS / "cuda")]
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    assert compiler is not None, "tests that build are marked compiler"
    command = [compiler, *FLAGS.split(), *flags, *includes, "-x", "c++", source]
    command += [HERE / "fibers.cpp", "-o", library]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return library


def open_library(path):
    library = ctypes.CDLL(str(path))
    library.mgdn_dynamic_filter_enqueue.argtypes = (ctypes.POINTER(_Filter), ctypes.c_void_p)
    return library


def enqueue(library, feature, kernel, out, kernel_size, upscale):
    """The MgdnStatus of filtering arrays in place, wherever they lie."""
    pointers = [array.ctypes.data for array in (feature, kernel, out)]
    storage = STORAGES.index(feature.dtype.type)
    filter_ = _Filter(*pointers, *feature.shape, kernel_size, upscale, storage, 0)
    return library.mgdn_dynamic_filter_enqueue(filter_, None)


def filter_with(library, feature, kernel, kernel_size, upscale=1):
    feature, kernel = np.ascontiguousarray(feature), np.ascontiguousarray(kernel)
    out = np.empty_like(feature)
    assert enqueue(library, feature, kernel, out, kernel_size, upscale) == OK
    return out
