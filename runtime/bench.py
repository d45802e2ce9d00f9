"""bench_networks: how long ``Session.fuse`` takes, one network beside the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import msgspec
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.frame import Plane
from mgdn_edge.runtime.golden import draw_scene
from mgdn_edge.runtime.latency import Percentiles, percentiles
from mgdn_edge.runtime.machine.conditions import Conditions, read_conditions
from mgdn_edge.runtime.networks import BASELINES, find_bundle, open_session
from mgdn_edge.runtime.run_file import beside
from mgdn_edge.runtime.session import FilterImplementation, Size
from mgdn_edge.runtime.versions import installed_versions
from mgdn_edge.runtime.whole_file import Outputs, Overwrite

SCHEMA = "mgdn.bench/1"
SCENES = 4  # different frames, so that no run is favoured by one picture
SEED = 20260401


class NetworkFigures(msgspec.Struct, frozen=True):
    """One network's milliseconds per ``fuse``, and its p50 over the first network's.

    ``execution`` says how the backend computed: device, memory, CUDA graph, a fallback.
    """

    network: str
    backend: str
    variant: str
    precision: str
    filter_implementation: FilterImplementation | None
    fuse: Percentiles
    ratio: float
    execution: dict[str, str] = {}


class BenchReport(msgspec.Struct, frozen=True):
    """Figures of all networks on the same frames, measured in turns.

    ``conditions`` are the machine's before the first frame and after the last.
    """

    schema: str
    size: str
    threads: int | None
    networks: list[NetworkFigures]
    versions: dict[str, str]
    conditions: tuple[Conditions, Conditions]


def bench_networks(
    networks: Sequence[str | Path],
    *,
    size: Size = (480, 640),
    frames: int = 100,
    warmup: int = 10,
    backend: str | None = None,
    fallback: str | None = None,
    variant: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    native: bool | None = None,
    report: Path | None = None,
    command: str = "",
    overwrite: Overwrite = False,
) -> BenchReport:
    """Time ``Session.fuse`` (copies included) on ``size`` (height, width) frames.

    Every network fuses each frame before the next frame comes, so that a busy machine slows
    them alike and the ratios hold. ``warmup`` rounds come first and are not counted.
    ``backend``, ``fallback``, ``variant``, ``precision`` and ``native`` (see ``open_session``) are
    the first network's. ``report`` becomes an HTML file that states ``command``. Raises UserError;
    EndedEarlyError with the figures where only that file failed.
    """
    page = None
    if report is not None:
        bundles = [find_bundle(network) for network in networks if network not in BASELINES]
        page = Outputs(bundles, overwrite).claim(report, "--report", ".html")
    if frames < 1 or warmup < 0:
        raise UserError(
            f"--frames {frames} --warmup {warmup} measures nothing; give --frames 1 or more"
        )
    pairs = [draw_pair(size, SEED + scene) for scene in range(SCENES)]
    with ExitStack() as opened:
        sessions = [
            opened.enter_context(
                open_session(
                    network,
                    backend=backend if index == 0 else None,
                    fallback=fallback if index == 0 else None,
                    variant=variant if index == 0 else None,
                    precision=precision if index == 0 else None,
                    size=size,
                    threads=threads,
                    native=native if index == 0 else None,
                )
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
            threads=threads,
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
        if page is not None:
            from mgdn_edge.runtime.report.bench_report import write_bench_report

            scene = draw_scene(*size)
            fused = [session.fuse(scene.visible, scene.infrared) for session in sessions]
            pair = (scene.visible, scene.infrared)
            with beside(figures=result):
                write_bench_report(page, result, times[:, warmup:], pair, fused, command)
        return result


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
