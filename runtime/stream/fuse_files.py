"""fuse_files: two recordings and a network's name in, a fused recording and figures out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.remap import open_alignment
from mgdn_edge.runtime.alignment.drift import DriftFigures, DriftMonitor
from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.fusion.contract.session import FilterImplementation, Session
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.output.counts_file import record_counts
from mgdn_edge.runtime.output.sinks import open_sink
from mgdn_edge.runtime.pairing.by_order import Pairs
from mgdn_edge.runtime.pairing.by_time import UNENDING, TimedOptions, open_pairs
from mgdn_edge.runtime.stream.latency import Percentiles, measure_stages
from mgdn_edge.runtime.stream.ledger import END_TO_END
from mgdn_edge.runtime.stream.pairing_figures import PairingFigures, pairing_figures
from mgdn_edge.runtime.stream.stream import Pace, StreamResult, fuse_stream
from mgdn_edge.runtime.stream.trace import write_trace
from mgdn_edge.runtime.thermal.scale import CountScale
from mgdn_edge.runtime.whole_file import check_side_file

SCHEMA = "mgdn.fuse/1"
DEFAULT_NETWORK = "mgdn-edge"


class FrameCounts(msgspec.Struct, frozen=True, rename={"in_": "in"}):
    """Frames read, written, and overtaken by newer ones: ``in`` = ``out`` + ``dropped``."""

    in_: int
    out: int
    dropped: int


class Summary(msgspec.Struct, frozen=True):
    """What was fused, by what, how fast. ``stages`` are milliseconds by stage name.

    ``size`` is "WIDTHxHEIGHT", or null where the frames differ. ``fps`` is frames out over the
    time from the first frame's capture to the last one's output. Under pace "none" queues are
    kept full, so ``end_to_end`` measures them; pace "source" measures latency. ``execution`` says
    how the backend computed: device, memory, CUDA graph, a fallback.
    """

    schema: str
    network: str
    backend: str
    variant: str
    precision: str
    filter_implementation: FilterImplementation | None
    pace: Pace
    size: str | None
    output: str
    frames: FrameCounts
    interrupted: bool
    fps: float
    end_to_end: Percentiles | None
    stages: dict[str, Percentiles]
    versions: dict[str, str]
    pairing: PairingFigures | None = None
    drift: DriftFigures | None = None
    execution: dict[str, str] = {}


def fuse_files(
    visible: str,
    infrared: str,
    output: str,
    *,
    network: str | Path = DEFAULT_NETWORK,
    choice: SessionChoice = DEFAULT_CHOICE,
    frames: int | None = None,
    resize: bool = False,
    shortest: bool = False,
    rig: Path | None = None,
    distance_m: float | None = None,
    realign: bool = False,
    pace: Pace = "none",
    timing: TimedOptions | None = None,
    infrared_options: InfraredOptions = InfraredOptions(),  # noqa: B008 - frozen
    record_infrared: Path | None = None,
    infrared_scale: CountScale | None = None,
    stop: threading.Event | None = None,
    on_start: Callable[[int], None] | None = None,
    on_frame: Callable[[], None] | None = None,
    report: Path | None = None,
    trace: Path | None = None,
    command: str = "",
    tell: Callable[[str], None] = lambda sentence: None,
) -> Summary:
    """Fuse VISIBLE and INFRARED (paths or file:// URIs) into OUTPUT; returns the figures.

    ``on_start`` gets the number of pairs, where it is known, before the first is fused;
    ``on_frame`` is called after each; ``choice`` and ``tell`` as for ``open_session``. ``rig`` is
    a rig file: both pictures are brought to its working size, for things ``distance_m`` metres
    away; ``realign`` follows slow drift. ``timing`` pairs by time stamp instead of by order; live
    sources always are. ``record_infrared`` keeps the sensor's counts beside OUTPUT,
    ``infrared_scale`` says what they mean. ``report`` becomes an HTML file that states
    ``command``, ``trace`` a Chrome trace. Raises UserError for wrong input; OUTPUT then does not
    exist.
    """
    with (
        open_visible(visible) as visible_source,
        open_infrared(infrared, infrared_options) as infrared_source,
    ):
        pairs = open_pairs(
            visible_source,
            infrared_source,
            timing,
            frames=frames,
            shortest=shortest,
            resize=resize,
            alignment=open_alignment(rig, distance_m, resize=resize, realign=realign),
            stop=stop,
        )
        if pairs.visible.info.live:
            pace = "source"  # a camera keeps no other
        sink = open_sink(
            output,
            pairs.output_info,
            pairs.count,
            [*visible_source.paths, *infrared_source.paths],
            live=pace == "source",
        )
        taken = [sink.path, *visible_source.paths, *infrared_source.paths]
        if report is not None:
            check_side_file(report, "--report", ".html", taken)
        if record_infrared is not None:
            check_side_file(record_infrared, "--record-infrared", ".mkv", taken)
        if trace is not None:
            check_side_file(trace, "--trace", ".json", taken)
        with open_session(network, choice, size=pairs.size, tell=tell) as session:
            if on_start is not None and pairs.count != UNENDING:
                on_start(pairs.count)
            keeper = None
            if report is not None:
                from mgdn_edge.runtime.stream.kept_frames import KeptFrames

                keeper = KeptFrames(pairs.count, pace)
            if pairs.alignment is not None:
                pairs.monitor = DriftMonitor(pairs, realign=realign)
            with record_counts(record_infrared, infrared_scale, pairs, keeper) as watching:
                result = fuse_stream(
                    pairs, session, sink, pace=pace, stop=stop, on_frame=on_frame, keeper=watching
                )
            summary = summarise(result, session, pairs, sink.uri, pace)
            if trace is not None:
                write_trace(
                    trace, result.ledger, {"network": summary.network, "backend": summary.backend}
                )
            if report is not None and keeper is not None:
                from mgdn_edge.runtime.report.fuse_report import write_fuse_report

                write_fuse_report(report, summary, result.ledger, keeper.frames(), command)
            return summary


def summarise(
    result: StreamResult, session: Session, pairs: Pairs, output: str, pace: Pace
) -> Summary:
    """Figures of a finished stream."""
    rows = result.ledger.rows
    stages = measure_stages(rows)
    size = pairs.size
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
        output=output,
        frames=FrameCounts(result.frames_in, result.frames_out, result.frames_dropped),
        interrupted=result.interrupted,
        fps=_frames_per_second(rows["capture_ns"], rows["out_ns"]),
        end_to_end=stages.pop(END_TO_END, None),
        stages=stages,
        versions=installed_versions(),
        pairing=pairing_figures(pairs, rows),
        drift=None if pairs.monitor is None else pairs.monitor.finish(),
    )


def _frames_per_second(capture_ns: npt.NDArray[np.int64], out_ns: npt.NDArray[np.int64]) -> float:
    if not len(out_ns):
        return 0.0
    return round(len(out_ns) * 1e9 / float(out_ns.max() - capture_ns.min()), 3)
