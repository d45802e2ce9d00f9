"""measure_ceilings: what this machine's memory and arithmetic give at most, in about two seconds.

Bandwidth is a copy of arrays larger than the caches, spread over the threads; the bytes read and
the bytes written both count. Arithmetic is a float32 matrix product by ONNX Runtime on as many
threads: the library that runs the networks, and one that keeps to the threads it was given, which
numpy's BLAS decides for itself. Nothing is cached: clocks and neighbours change by the minute.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import session_options, usable_cpus
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph
from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.machine.text_file import read_text
from mgdn_edge.runtime.measure.timing_loop import TimingLoop, time_call

MIB = 1 << 20
LEAST_COPY, MOST_COPY = 64 * MIB, 256 * MIB  # of each of two arrays
CACHES = 4  # an array is this many times the last cache, so that hardly any of it stays there
PRODUCT = Path(__file__).with_name("product.onnx")  # by tests/support/measured_graphs.py
SIDE = 1024  # of the matrices: 2 GFLOP, 12 MB
SECONDS = 0.8  # for each of the two
LEAST_RUNS = 3


def measure_ceilings(threads: int | None = None, root: Path = Path("/")) -> Ceilings:
    """Measure on ``threads`` threads, None takes every usable CPU; ``root`` is where /sys is."""
    threads = threads or usable_cpus()
    size = copy_bytes(root)
    return Ceilings(
        threads=threads,
        gbps=round(2 * size / best_seconds(_copy(size, threads)) / 1e9, 2),
        gflops=_measure_gflops(threads),
        copy_mib=size // MIB,
    )


def copy_bytes(root: Path) -> int:
    """Bytes of one array: a multiple of the largest cache of /sys, capped for small boards."""
    largest = 0
    for path in (root / "sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = read_text(path)
        if text.endswith("K") and text[:-1].isdecimal():
            largest = max(largest, int(text[:-1]) * 1024)
    return min(max(CACHES * largest, LEAST_COPY), MOST_COPY)


def best_seconds(run: Callable[[], object], seconds: float = SECONDS) -> float:
    """The shortest of as many runs as fit ``seconds``: what else runs only makes runs longer."""
    loop = TimingLoop([time_call(run)])
    loop.warm_up(1)  # first touch of the pages, first start of the threads
    for _ in loop.take_turns(seconds=seconds, least=LEAST_RUNS):
        pass
    return float(loop.times_ns().min()) / 1e9


def _copy(size: int, threads: int) -> Callable[[], object]:
    """A copy of ``size`` bytes by ``threads`` threads; numpy releases the interpreter in it."""
    source, target = (np.zeros(size, np.uint8) for _ in range(2))
    source += 1  # zeros may all be one page
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    pool = ThreadPoolExecutor(threads)

    def run() -> object:
        return list(pool.map(lambda pair: np.copyto(*pair), parts))

    return run


def _measure_gflops(threads: int) -> float | None:
    try:
        session = load_graph(PRODUCT.read_bytes(), "the measured graph", session_options(threads))
    except ImportError:
        return None
    generator = np.random.default_rng(0)
    feeds = {name: generator.random((SIDE, SIDE), np.float32) for name in ("a", "b")}
    seconds = best_seconds(lambda: session.run(None, feeds))
    return round(2 * SIDE**3 / seconds / 1e9, 1)
