"""measure_profiler_cost: what ONNX Runtime's profiler adds to each kernel it times.

It writes shapes and thread statistics of every kernel as text, most of it before it takes the
end time: some 8 us a kernel, 2 % of mgdn-edge's frame. A chain of additions, run with the profiler
and without in turns, shows that cost by itself.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import session_options
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph
from mgdn_edge.runtime.measure.timing_loop import TimingLoop, time_call

ADDITIONS = Path(__file__).with_name("additions.onnx")  # by tests/support/measured_graphs.py
KERNELS = 24
SHAPE = (1, 1, 480, 640)  # large enough for all threads to take part, as in a frame
RUNS, WARMUP = 60, 5
KERNEL_SUFFIX, EXECUTE = "_kernel_time", "SequentialExecutor::Execute"
US = 1000  # ns


class ProfilerCost(msgspec.Struct, frozen=True):
    """Nanoseconds a kernel: within the time it is given, and between kernels."""

    inside_ns: float
    outside_ns: float


NO_COST = ProfilerCost(0.0, 0.0)


class _NodeTime(msgspec.Struct):
    name: str
    dur: int = 0


def measure_profiler_cost(threads: int) -> ProfilerCost:
    """On ``threads`` threads, as the profiled session has them: its statistics are a thread's."""
    model = ADDITIONS.read_bytes()
    feeds = {name: np.ones(SHAPE, np.float32) for name in "ab"}
    with tempfile.TemporaryDirectory(prefix="mgdn-profiler-") as folder:
        plain = load_graph(model, "the measured graph", session_options(threads))
        options = session_options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        profiled = load_graph(model, "the measured graph", options)
        loop = TimingLoop(
            [time_call(partial(session.run, None, feeds)) for session in (plain, profiled)]
        )
        loop.warm_up(WARMUP)
        for _ in loop.take_turns(RUNS):
            pass
        text = Path(profiled.end_profiling()).read_bytes()
    events = msgspec.json.decode(text, type=list[_NodeTime])
    within = np.array([event.dur for event in events if event.name.endswith(KERNEL_SUFFIX)]) * US
    whole = np.array([event.dur for event in events if event.name == EXECUTE]) * US
    between = (whole - within.reshape(-1, KERNELS).sum(axis=1)) / KERNELS
    # Medians of each turn's difference: what else runs meets both.
    added = max(0.0, float(np.median(loop.times_ns(1) - loop.times_ns(0))) / KERNELS)
    outside = min(added, float(np.median(between[WARMUP:])))
    return ProfilerCost(inside_ns=added - outside, outside_ns=outside)
