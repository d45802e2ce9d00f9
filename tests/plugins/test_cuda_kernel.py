"""The CUDA kernel beyond its arithmetic: alignment, bounds, races, statuses. No GPU needed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import cuda_on_host
from support.cuda_on_host import build_library, enqueue, open_library

from mgdn_edge.plugins import reference

pytestmark = pytest.mark.compiler

# Forwards or backwards through a block's threads, asynchronous copies at once or when waited for.
SCHEDULES = [(backwards, late) for backwards in (0, 1) for late in (0, 1)]


def draw(shape=(2, 6, 12, 136), k=7, s=1, dtype=np.float16):
    rng = np.random.default_rng(7)
    n, _, h, w = shape
    feature = rng.standard_normal(shape).astype(dtype)
    return feature, rng.standard_normal((n, k * k, h // s, w // s)).astype(dtype)


def place(array, offset):
    """The array again, its first element ``offset`` elements after a multiple of 64 bytes."""
    memory = np.empty(array.nbytes + 128 + array.itemsize * offset, np.uint8)
    start = -memory.ctypes.data % 64 + offset * array.itemsize
    placed = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    placed[:] = array
    return placed


def run_schedules(library, case, k, s):
    outs = []
    for schedule in SCHEDULES:
        library.mgdn_cuda_on_host_schedule(*schedule)
        out = np.zeros_like(case[0])
        assert enqueue(library, *case, out, k, s) == cuda_on_host.OK
        outs.append(out)
    library.mgdn_cuda_on_host_schedule(0, 0)
    return outs


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("offsets", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 4, 8), (3, 5, 7)])
def test_pointers_aligned_to_their_element_change_no_bit(cuda_on_host, offsets, dtype):
    case = [*draw(dtype=dtype)]
    outs = []
    for shifts in ((0, 0, 0), offsets):
        arrays = [place(a, o) for a, o in zip((*case, np.zeros_like(case[0])), shifts, strict=True)]
        assert enqueue(cuda_on_host, *arrays, 7, 1) == 0
        outs.append(arrays[2])
    np.testing.assert_array_equal(outs[0], outs[1])
    np.testing.assert_allclose(outs[0], reference.dynamic_filter(*case, 7), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 9, 12, 136), (2, 3, 20, 76)], ids=str)
@pytest.mark.parametrize(("k", "s"), [(3, 1), (5, 4), (7, 2)])
def test_the_order_of_threads_and_copies_changes_no_bit(cuda_on_host, k, s, shape, dtype):
    outs = run_schedules(cuda_on_host, draw(shape, k, s, dtype), k, s)
    for out in outs[1:]:
        np.testing.assert_array_equal(out, outs[0])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("__syncthreads();", ""),  # others' copies are not waited for
        ("__pipeline_wait_prior(STAGES - 2);", "__pipeline_wait_prior(STAGES - 1);"),
        ("STAGES = 4;", "STAGES = 4, RING = 3;"),  # copies overwrite what is being filtered
    ],
    ids=["no barrier", "a wait too short", "a ring too short"],
)
def test_a_race_is_noticed(tmp_path, right, wrong):
    def spoil(source):
        assert right in source
        if "RING" in wrong:
            source = source.replace("% STAGES", "% RING")
        return source.replace(right, wrong)

    library = open_library(build_library(tmp_path, edit=spoil))
    outs = run_schedules(library, draw(), 7, 1)
    assert any((out != outs[0]).any() for out in outs[1:])


def test_a_barrier_not_every_thread_reaches_is_noticed(tmp_path, capfd):
    def spoil(source):
        return source.replace("__syncthreads();", "if (threadIdx.x < 96) __syncthreads();")

    library = open_library(build_library(tmp_path, edit=spoil))
    case = draw()
    assert enqueue(library, *case, case[0].copy(), 7, 1) == cuda_on_host.CUDA_FAILED
    assert "not every thread reaches" in capfd.readouterr().err


SANITIZED_RUN = """
import sys
import numpy as np
from support.cuda_on_host import filter_with, open_library
library = open_library(sys.argv[1])
rng = np.random.default_rng(8)
for shape in (1, 1, 1, 1), (2, 5, 9, 17), (1, 2, 8, 64), (1, 2, 17, 136):
    for k, s, dtype in (3, 1, "f2"), (5, 2, "f4"), (7, 1, "f2"), (7, 1, "f4"), (7, 4, "f2"):
        n, c, h, w = shape
        feature = rng.standard_normal((n, c, h * s, w * s)).astype(dtype)
        filter_with(library, feature, rng.standard_normal((n, k * k, h, w)).astype(dtype), k, s)
print("every shape ran")
"""


def run_sanitized(folder, edit):
    """Run shapes with borders, rests and whole tiles under AddressSanitizer and UBSan."""
    flags = ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    library = build_library(folder, *flags, edit=edit)
    found = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    environment = {
        **os.environ,
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own
        "PYTHONPATH": str(cuda_on_host.HERE),
    }
    command = [sys.executable, "-c", SANITIZED_RUN, str(library)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_nothing_outside_tensors_and_shared_memory_is_touched(tmp_path):
    result = run_sanitized(tmp_path, lambda source: source)
    assert result.returncode == 0, result.stderr
    assert "every shape ran" in result.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("[T::CHUNKS * T::CHUNK]", "[(T::CHUNKS - 1) * T::CHUNK]", "buffer-overflow"),
        ("shape.width - place.x - place.column : 0", "PIXELS : 0", "buffer-overflow"),
    ],
    ids=["shared memory", "output"],
)
def test_one_element_outside_is_noticed(tmp_path, right, wrong, words):
    def spoil(source):
        assert right in source
        return source.replace(right, wrong)

    result = run_sanitized(tmp_path, spoil)
    assert result.returncode != 0
    assert words in result.stderr


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, cuda_on_host.OK),
        ({"feature": None}, cuda_on_host.NULL_POINTER),
        ({"out": None}, cuda_on_host.NULL_POINTER),
        ({"channels": 0}, cuda_on_host.BAD_SHAPE),
        ({"upscale": 4, "height": 6}, cuda_on_host.BAD_SHAPE),
        ({"width": 2**25 + 1}, cuda_on_host.BAD_SHAPE),
        ({"kernel_size": 4}, cuda_on_host.BAD_ATTRIBUTE),
        ({"storage": 2}, cuda_on_host.BAD_ATTRIBUTE),
        ({"implementation": 1}, cuda_on_host.BAD_ATTRIBUTE),  # a CPU's
    ],
    ids=str,
)
def test_every_broken_promise_has_its_status(request, change, status):
    library = request.getfixturevalue("cuda_on_host")
    feature, kernel = draw((1, 1, 4, 4), 3, 1, np.float32)
    out = np.empty_like(feature)
    pointers = [array.ctypes.data for array in (feature, kernel, out)]
    filter_ = cuda_on_host._Filter(*pointers, *feature.shape, 3, 1, 0, 0)
    for field, value in change.items():
        setattr(filter_, field, value)
    assert library.mgdn_dynamic_filter_enqueue(filter_, None) == status


def test_no_filter_is_refused(request):
    library = request.getfixturevalue("cuda_on_host")
    assert library.mgdn_dynamic_filter_enqueue(None, None) == cuda_on_host.NULL_POINTER
