"""sync_sources: two recordings or cameras -> the ClockFit of their clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from mgdn_edge.runtime.alignment.apply.registration import open_alignment
from mgdn_edge.runtime.alignment.apply.remap import Alignment
from mgdn_edge.runtime.capture.sources import InfraredOptions, Source, open_infrared, open_visible
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.pairing.clock_fit import ClockFit
from mgdn_edge.runtime.picture.frame import InfraredFrame, VisibleFrame
from mgdn_edge.runtime.sync.clock_offset import measure_clock
from mgdn_edge.runtime.sync.motion import Motion, measure_motion

F = TypeVar("F", VisibleFrame, InfraredFrame)


def sync_sources(
    visible: str,
    infrared: str,
    *,
    within_ms: float = 1000.0,
    seconds: float = 60.0,
    rig: Path | None = None,
    infrared_options: InfraredOptions = InfraredOptions(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> ClockFit:
    """The first ``seconds`` of two URIs of aligned views -> ClockFit.

    ``rig`` is the rig file that aligns views which are not. Raises UserError for sources that
    cannot be read and where they do not tell, see ``measure_clock``.
    """
    with (
        open_visible(visible) as visible_source,
        open_infrared(infrared, infrared_options) as infrared_source,
        ThreadPoolExecutor(1, thread_name_prefix="mgdn-sync") as pool,
    ):
        # Both at once: two cameras must be watched at the same time.
        alignment = open_alignment(rig, None, resize=False, realign=False)
        progress.begin("watching what moves")
        view = _infrared_view(alignment)
        infrared_motion = pool.submit(_motion, infrared_source, seconds, progress, view)
        visible_motion = _motion(visible_source, seconds, progress, _visible_view(alignment))
        return measure_clock(visible_motion, infrared_motion.result(), within_ms)


def _motion(
    source: Source[F], seconds: float, progress: Progress, view: Callable[[F], F]
) -> Motion:
    with closing(source.frames()) as frames:
        return measure_motion(map(view, _first(frames, seconds)), progress)


def _visible_view(alignment: Alignment | None) -> Callable[[VisibleFrame], VisibleFrame]:
    return (lambda frame: frame) if alignment is None else alignment.align_visible


def _infrared_view(alignment: Alignment | None) -> Callable[[InfraredFrame], InfraredFrame]:
    if alignment is None:
        return lambda frame: frame
    still = np.zeros(alignment.size, np.uint8)  # where infrared does not reach, nothing moves

    def view(frame: InfraredFrame) -> InfraredFrame:
        target = np.empty(alignment.size, np.uint8)
        alignment.align_infrared(frame.plane, still, target)
        return replace(frame, plane=target)

    return view


def _first(frames: Iterator[F], seconds: float) -> Iterator[F]:
    first_ns: int | None = None
    for frame in frames:
        first_ns = frame.pts_ns if first_ns is None else first_ns
        if frame.pts_ns - first_ns > seconds * 1e9:
            return
        yield frame
