"""bench_networks: how long ``Session.fuse`` takes, one network beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.machine.conditions import read_conditions
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.bench_result import SCHEMA, BenchReport, BenchResult, NetworkFigures
from mgdn_edge.runtime.measure.timing_loop import TimingLoop, draw_pairs, fuse_pairs
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.picture.frame import Size


def bench_networks(
    networks: Sequence[str | Path],
    choice: SessionChoice = DEFAULT_CHOICE,
    *,
    size: Size = (480, 640),
    frames: int = 100,
    warmup: int = 10,
    progress: Progress = SILENT,
) -> BenchResult:
    """Time ``Session.fuse`` (copies included) on ``size`` (height, width) frames.

    Every network fuses each frame before the next frame comes, so that a busy machine slows
    them alike and the ratios hold. ``warmup`` rounds come first and are not counted.
    ``choice`` is the first network's; the others have its threads alone. Raises UserError.
    """
    if frames < 1 or warmup < 0:
        raise UserError(
            f"--frames {frames} --warmup {warmup} measures nothing; give --frames 1 or more"
        )
    pairs = draw_pairs(size)
    with ExitStack() as opened:
        sessions = [
            opened.enter_context(
                open_session(
                    network, choice.beside() if index else choice, size=size, progress=progress
                )
            )
            for index, network in enumerate(networks)
        ]
        before = read_conditions()
        loop = TimingLoop([fuse_pairs(session, pairs) for session in sessions])
        progress.begin("timing", frames)
        loop.warm_up(warmup)
        for _ in loop.take_turns(frames):
            progress.advance()
        progress.done()
        after = read_conditions()
        figures = [loop.figures(index) for index in range(len(sessions))]
        result = BenchReport(
            schema=SCHEMA,
            size=f"{size[1]}x{size[0]}",
            threads=choice.threads,
            networks=[
                NetworkFigures(
                    network=session.network,
                    backend=session.backend,
                    variant=session.variant,
                    precision=session.precision,
                    filter_implementation=session.filter_implementation,
                    execution=session.execution,
                    fuse=figure,
                    ratio=round(figure.p50 / figures[0].p50, 3),
                )
                for session, figure in zip(sessions, figures, strict=True)
            ],
            versions=installed_versions(),
            conditions=(before, after),
        )
        scene = draw_scene(*size)
        fused = [session.fuse(scene.visible, scene.infrared) for session in sessions]
        times_ns = np.stack([loop.times_ns(index) for index in range(len(sessions))])
        return BenchResult(result, times_ns, (scene.visible, scene.infrared), fused)
