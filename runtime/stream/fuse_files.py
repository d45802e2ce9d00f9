"""fuse_files: a request in, a fused recording and its figures out."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.registration import (
    Registration,
    RigGrid,
    SameGrid,
    open_alignment,
)
from mgdn_edge.runtime.alignment.drift import DriftMonitor
from mgdn_edge.runtime.alignment.drift_figures import DriftFigures
from mgdn_edge.runtime.bundle.network_names import BASELINES, find_bundle
from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.output.counts_file import CountsRecorder
from mgdn_edge.runtime.output.open_sink import AnySink, open_sink
from mgdn_edge.runtime.pairing.by_time import open_pairs
from mgdn_edge.runtime.pairing.clock_fit import ClockFit
from mgdn_edge.runtime.pairing.pairs import Pairs
from mgdn_edge.runtime.pairing.timed_options import TimedOptions
from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.stream.frame_times import Pace
from mgdn_edge.runtime.stream.fuse_stream import StreamResult, fuse_stream
from mgdn_edge.runtime.stream.kept_frames import KeptFrames
from mgdn_edge.runtime.stream.latency import measure_stages
from mgdn_edge.runtime.stream.ledger import END_TO_END
from mgdn_edge.runtime.stream.observer import Observer
from mgdn_edge.runtime.stream.pairing_figures import pairing_figures
from mgdn_edge.runtime.stream.request import FuseRequest
from mgdn_edge.runtime.stream.result import SCHEMA, FrameCounts, FuseResult, Summary
from mgdn_edge.runtime.whole_file import Outputs

NOTHING_RECORDED = "nothing was recorded"


def fuse_files(
    request: FuseRequest,
    *,
    outputs: Outputs | None = None,
    stop: threading.Event | None = None,
    progress: Progress = SILENT,
) -> FuseResult:
    """Do what ``request`` asks.

    ``outputs`` says which files may be replaced (none, by default) and holds what the caller has
    claimed of its own, such as a report. ``stop`` ends the stream; ``progress`` is told of
    every frame and of what is worth reading at once. Raises UserError for wrong input, and OUTPUT
    then is as it was; EndedEarlyError where something was recorded, which is kept.
    """
    alignment = open_alignment(
        request.rig, request.distance_m, resize=request.resize, realign=request.realign
    )
    timing = request.timing
    if timing is None and alignment is not None and alignment.rig.clock_offset_ms:
        timing = TimedOptions(ClockFit(offset_ms=alignment.rig.clock_offset_ms))
    with (
        open_visible(request.visible) as visible,
        open_infrared(request.infrared, request.infrared_options) as infrared,
        ExitStack() as stack,
    ):
        pairs = open_pairs(
            visible,
            infrared,
            timing,
            frames=request.frames,
            shortest=request.shortest,
            resize=request.resize or alignment is not None,
            stop=stop,
        )
        pace: Pace = "source" if pairs.visible.info.live else request.pace
        registration: Registration = SameGrid()
        monitor = None
        if alignment is not None:
            monitor = DriftMonitor(alignment, realign=request.realign)
            registration = RigGrid(lambda: monitor.alignment)
        size = registration.size_of(pairs.first)
        common = size if pairs.size is not None or alignment is not None else None
        if request.record_infrared is not None and not pairs.has_counts:
            raise UserError(
                "--record-infrared keeps 16-bit counts, and this infrared is 8-bit: leave it out"
            )
        outputs = outputs or Outputs(())
        outputs.add_inputs([*visible.paths, *infrared.paths, *_other_inputs(request)])
        shown = replace(pairs.visible.info, size=common)
        sink = open_sink(request.output, shown, pairs.count, outputs, live=pace == "source")
        observers: list[Observer] = [] if monitor is None else [monitor]
        recorder = None
        if request.record_infrared is not None:
            claimed = outputs.claim(request.record_infrared, "--record-infrared", ".mkv")
            recorder = CountsRecorder(claimed, request.infrared_scale, pairs.visible.info.rate)
            observers.append(recorder)
        pictures = KeptFrames(pairs.count, pace) if request.keep_pictures else None
        if pictures is not None:
            observers.append(pictures)
        stack.enter_context(sink)
        if recorder is not None:
            stack.enter_context(recorder)
        session = stack.enter_context(
            open_session(request.network, request.choice, size=common, progress=progress)
        )
        progress.begin("fusing", pairs.count)
        try:
            result = fuse_stream(
                pairs,
                session,
                sink,
                registration=registration,
                pace=pace,
                stop=stop,
                progress=progress,
                observers=observers,
            )
        except UserError as error:
            kept = keep_recordings(sink, recorder, pairs.count)
            if not kept:
                raise
            raise EndedEarlyError(f"{error}; {kept}") from error
        except BaseException:
            progress.tell(keep_recordings(sink, recorder, pairs.count) or NOTHING_RECORDED)
            raise
        progress.done()
        where = sink.uri if result.kept is None else str(result.kept.path)
        drift = None if monitor is None else monitor.finish()
        summary = summarise(result, session, pairs, sink, common, where, pace, drift)
        failures = []
        if result.interrupted and not (pairs.visible.info.live and result.frames_out):
            kept = keep_recordings(sink, recorder, pairs.count)
            progress.tell(f"interrupted: {kept or NOTHING_RECORDED}")
        elif recorder is not None:
            recorder.complete()
        if recorder is not None and recorder.failure is not None:
            failures = [recorder.failure]
            if kept := keep_recordings(sink, recorder, pairs.count):
                failures.append(kept)
        return FuseResult(
            summary, result.ledger, [] if pictures is None else pictures.frames(), failures
        )


def _other_inputs(request: FuseRequest) -> list[Path]:
    """Files that are read beside the two sources: none of them is replaced."""
    rigs = [] if request.rig is None else [request.rig]
    bundles = [] if request.network in BASELINES else [find_bundle(request.network)]
    return [*rigs, *bundles, *request.reads]


def keep_recordings(sink: AnySink, recorder: CountsRecorder | None, total: int | None) -> str:
    """Leave what is not complete under its partial name: where, and how many frames of ``total``.

    "" where no frame was recorded.
    """
    kept = [sink.keep(), None if recorder is None else recorder.keep()]
    return ", ".join(each.sentence(total) for each in kept if each is not None)


def summarise(
    result: StreamResult,
    session: Session,
    pairs: Pairs,
    sink: AnySink,
    size: Size | None,
    output: str,
    pace: Pace,
    drift: DriftFigures | None,
) -> Summary:
    """Figures of a finished stream of (height, width) ``size`` frames."""
    rows = result.ledger.rows
    stages = measure_stages(rows)
    lost = msgspec.UNSET if sink.lost is None else sink.lost
    again = {
        name: count
        for name, count in (
            ("visible", pairs.visible.reconnects),
            ("infrared", pairs.infrared.reconnects),
            ("output", sink.reconnects),
        )
        if count is not None
    }
    return Summary(
        schema=SCHEMA,
        network=session.network,
        backend=session.backend,
        variant=session.variant,
        precision=session.precision,
        filter_implementation=session.filter_implementation,
        execution=session.execution,
        pace=pace,
        size=None if size is None else f"{size[1]}x{size[0]}",
        # A name that is not UTF-8 stands in JSON with escapes for its bytes.
        output=output.encode(errors="backslashreplace").decode(),
        frames=FrameCounts(result.frames_in, result.frames_out, result.frames_dropped, lost),
        interrupted=result.interrupted,
        fps=_frames_per_second(rows["capture_ns"], rows["out_ns"]),
        end_to_end=stages.pop(END_TO_END, None),
        stages=stages,
        versions=installed_versions(),
        pairing=pairing_figures(pairs, rows),
        drift=drift,
        reconnects=again or msgspec.UNSET,
    )


def _frames_per_second(capture_ns: npt.NDArray[np.int64], out_ns: npt.NDArray[np.int64]) -> float:
    if not len(out_ns):
        return 0.0
    return round(len(out_ns) * 1e9 / float(out_ns.max() - capture_ns.min()), 3)
