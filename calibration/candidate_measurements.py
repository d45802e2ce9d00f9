"""The gate's measurements: a candidate's pictures beside float32's, and its time in turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.machine.environment import processor_name
from mgdn_edge.runtime.machine.processor_class import processor_class
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.measure.timing_loop import TimingLoop, fuse_pairs
from mgdn_edge.runtime.pairing.recordings import FramePair
from mgdn_edge.runtime.picture.frame import Plane, Size
from mgdn_edge.runtime.quality.fusion_metrics import FusionMetrics, measure_fusion
from mgdn_edge.runtime.quality.precision_verdict import FrameQuality, SpeedFigures, compare_frame
from mgdn_edge.runtime.stream.latency import percentiles

SPEED_SIZE: Size = (480, 640)
TURNS = 60
WARMUP_TURNS = 5
LEAST_TURNS = 5
MOST_SECONDS = 60.0  # a network of seconds a frame gets fewer turns


class JudgedFrame(NamedTuple):
    """A held-out pair and what float32 makes of it."""

    pair: FramePair
    wanted: Plane
    metrics: FusionMetrics


class ShownFrame(NamedTuple):
    """A frame whose pictures a report shows."""

    quality: FrameQuality
    wanted: Plane
    got: Plane


def open_graph(
    model: bytes, spec: FusionSpec, size: Size | None = None, precision: str = "fp32"
) -> OnnxRuntimeSession:
    """Frame graph -> a session as the runtime opens it, native operations where installed."""
    return OnnxRuntimeSession(model, spec=spec, variant="candidate", precision=precision, size=size)


def fuse_in_float(
    model: bytes,
    spec: FusionSpec,
    pairs: Iterable[FramePair],
    progress: Progress = SILENT,
) -> list[JudgedFrame]:
    """Held-out pairs -> what float32 makes of each, kept for every candidate."""
    frames = []
    with open_graph(model, spec) as session:
        for pair in pairs:
            wanted = session.fuse(pair.visible, pair.infrared)
            metrics = measure_fusion(wanted, pair.visible, pair.infrared)
            frames.append(JudgedFrame(pair, wanted, metrics))
            progress.advance()
    return frames


def judge_pictures(
    model: bytes,
    spec: FusionSpec,
    frames: Sequence[JudgedFrame],
    keep: int = 0,
    progress: Progress = SILENT,
) -> tuple[list[FrameQuality], list[ShownFrame]]:
    """Candidate of dynamic size -> each frame's quality, and the ``keep`` worst with pictures."""
    judged: list[FrameQuality] = []
    kept: list[ShownFrame] = []
    with open_graph(model, spec) as session:
        for pair, wanted, metrics in frames:
            got = session.fuse(pair.visible, pair.infrared)
            planes = (pair.visible, pair.infrared)
            judged.append(compare_frame(pair.name, planes, wanted, got, metrics))
            kept.append(ShownFrame(judged[-1], wanted, got))
            kept = sorted(kept, key=lambda each: each.quality.psnr)[:keep]
            progress.advance()
    return judged, kept


def measure_speed(
    models: Sequence[bytes],
    spec: FusionSpec,
    size: Size,
    static: bool,
    turns: int = TURNS,
    progress: Progress = SILENT,
) -> list[SpeedFigures]:
    """Float32 first, then candidates, each ``fuse`` of one (height, width) frame in turns.

    ``static`` graphs have that size, others take any. A turn's ratio compares neighbours in time,
    so a busy machine slows both; the median over turns is what counts. Slow networks get fewer.
    """
    from mgdn_edge.runtime.picture.drawn_scene import draw_scene

    scene = draw_scene(*size)
    with ExitStack() as opened:
        sessions = [
            opened.enter_context(open_graph(model, spec, size if static else None))
            for model in models
        ]
        pair = [(scene.visible, scene.infrared)]
        loop = TimingLoop([fuse_pairs(session, pair) for session in sessions])
        for _ in loop.take_turns(WARMUP_TURNS + turns, seconds=MOST_SECONDS, least=LEAST_TURNS + 1):
            progress.advance()
    times = np.stack([loop.times_ns(index) for index in range(len(models))])
    kept = times[:, min(WARMUP_TURNS, times.shape[1] - LEAST_TURNS) :]
    fp32 = percentiles(kept[0], 0)
    figures = []
    for row in kept:
        own = percentiles(row, 0)
        figures.append(
            SpeedFigures(
                processor=processor_class(),
                machine=processor_name(),
                size=f"{size[1]}x{size[0]}",
                turns=kept.shape[1],
                fp32_p50=fp32.p50,
                p50=own.p50,
                p95=own.p95,
                ratio=round(float(np.median(row / kept[0])), 4),
            )
        )
    return figures
