"""bench_networks: how long ``Session.fuse`` takes, one network beside the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.machine.conditions import read_conditions
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.bench_result import SCHEMA, BenchReport, BenchResult, NetworkFigures
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.picture.frame import Plane, Size
from mgdn_edge.runtime.stream.latency import percentiles

SCENES = 4  # different frames, so that no run is favoured by one picture
SEED = 20260401


def bench_networks(
    networks: Sequence[str | Path],
    choice: SessionChoice = DEFAULT_CHOICE,
    *,
    size: Size = (480, 640),
    frames: int = 100,
    warmup: int = 10,
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
    pairs = [draw_pair(size, SEED + scene) for scene in range(SCENES)]
    with ExitStack() as opened:
        sessions = [
            opened.enter_context(
                open_session(network, choice.beside() if index else choice, size=size)
            )
            for index, network in enumerate(networks)
        ]
        before = read_conditions()
        times = np.zeros((len(sessions), warmup + frames), np.int64)
        for turn in range(warmup + frames):
            visible, infrared = pairs[turn % SCENES]
            for session, row in zip(sessions, times, strict=True):
                begin = time.perf_counter_ns()
                session.fuse(visible, infrared)
                row[turn] = time.perf_counter_ns() - begin
        after = read_conditions()
        figures = [percentiles(row, warmup) for row in times]
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
        return BenchResult(result, times[:, warmup:], (scene.visible, scene.infrared), fused)


def draw_pair(size: Size, seed: int) -> tuple[Plane, Plane]:
    """(height, width), seed -> two (H, W) uint8 planes: smooth structure, edges and noise.

    Same seed, same planes. Not a scene: only what keeps branches and caches honest.
    """
    generator = np.random.default_rng(seed)
    height, width = size
    planes = []
    for _ in range(2):
        coarse = generator.integers(0, 256, (height // 32 + 2, width // 32 + 2), np.uint8)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        column, row = generator.integers(0, width), generator.integers(0, height)
        edges = np.zeros(size, np.int16)
        edges[row : row + height // 4 + 1, column : column + width // 4 + 1] = 80
        noise = generator.normal(0, 4, size)
        planes.append(np.clip(smooth + edges + noise, 0, 255).astype(np.uint8))
    return planes[0], planes[1]
