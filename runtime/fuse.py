"""fuse_files: two recordings and a network's name in, a fused recording and figures out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.drift import DriftFigures, DriftMonitor
from mgdn_edge.runtime.alignment.remap import open_alignment
from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.latency import Percentiles, measure_stages
from mgdn_edge.runtime.ledger import END_TO_END
from mgdn_edge.runtime.networks import open_session
from mgdn_edge.runtime.pairing import Pairs
from mgdn_edge.runtime.session import FilterImplementation, Session
from mgdn_edge.runtime.sinks import AnySink, open_sink
from mgdn_edge.runtime.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.stream import Pace, StreamResult, fuse_stream
from mgdn_edge.runtime.thermal.counts_file import CountsRecorder
from mgdn_edge.runtime.thermal.scale import CountScale
from mgdn_edge.runtime.timing.figures import PairingFigures, pairing_figures
from mgdn_edge.runtime.timing.timed_pairs import UNENDING, TimedOptions, open_pairs
from mgdn_edge.runtime.trace import write_trace
from mgdn_edge.runtime.versions import installed_versions
from mgdn_edge.runtime.whole_file import Output, Outputs, Overwrite

SCHEMA = "mgdn.fuse/1"
DEFAULT_NETWORK = "mgdn-edge"
NOTHING_RECORDED = "nothing was recorded"


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
    backend: str | None = None,
    fallback: str | None = None,
    variant: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    native: bool | None = None,
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
    inputs: Sequence[Path] = (),
    overwrite: Overwrite = False,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Summary:
    """Fuse VISIBLE and INFRARED (paths or file:// URIs) into OUTPUT; returns the figures.

    ``on_start`` gets the number of pairs, where it is known, before the first is fused;
    ``on_frame`` is called after each; ``native`` and ``tell`` as for ``open_session``. ``rig`` is
    a rig file: both pictures are brought to its working size, for things ``distance_m`` metres
    away; ``realign`` follows slow drift. ``timing`` pairs by time stamp instead of by order; live
    sources always are. ``record_infrared`` keeps the sensor's counts beside OUTPUT,
    ``infrared_scale`` says what they mean. ``report`` becomes an HTML file that states
    ``command``, ``trace`` a Chrome trace. Files that exist stay unless ``overwrite``, those that
    are read always: ``inputs`` names more of them, such as the clock file. Raises UserError for
    wrong input, and OUTPUT then does not exist; EndedEarlyError where something was recorded,
    which is kept.
    """
    with (
        open_visible(visible) as visible_source,
        open_infrared(infrared, infrared_options) as infrared_source,
        ExitStack() as stack,
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
        if record_infrared is not None and not pairs.has_counts:
            raise UserError(
                "--record-infrared keeps 16-bit counts, and this infrared is 8-bit: leave it out"
            )
        named = [path for path in (rig, network) if isinstance(path, Path)]
        read = [*visible_source.paths, *infrared_source.paths, *named, *inputs]
        outputs = Outputs(read, overwrite)
        sink = open_sink(output, pairs.output_info, pairs.count, outputs, live=pace == "source")
        page = _claim(outputs, report, "--report", ".html")
        tracks = _claim(outputs, trace, "--trace", ".json")
        counts = _claim(outputs, record_infrared, "--record-infrared", ".mkv")
        keeper = None
        if page is not None:
            from mgdn_edge.runtime.report.kept_frames import KeptFrames

            keeper = KeptFrames(pairs.count, pace)
        stack.enter_context(sink)
        recorder = None
        if counts is not None:
            recorder = CountsRecorder(counts, infrared_scale, pairs, keeper)
            stack.enter_context(recorder)
        session = stack.enter_context(
            open_session(
                network,
                backend=backend,
                fallback=fallback,
                variant=variant,
                precision=precision,
                size=pairs.size,
                threads=threads,
                native=native,
                tell=tell,
            )
        )
        if on_start is not None and pairs.count != UNENDING:
            on_start(pairs.count)
        if pairs.alignment is not None:
            pairs.monitor = DriftMonitor(pairs, realign=realign)
        watching = recorder or keeper
        try:
            result = fuse_stream(
                pairs, session, sink, pace=pace, stop=stop, on_frame=on_frame, keeper=watching
            )
        except UserError as error:
            kept = keep_recordings(sink, recorder, pairs.count)
            if not kept:
                raise
            raise EndedEarlyError(f"{error}; {kept}") from error
        except BaseException:
            tell(keep_recordings(sink, recorder, pairs.count) or NOTHING_RECORDED)
            raise
        where = sink.uri if result.kept is None else str(result.kept.path)
        summary = summarise(result, session, pairs, where, pace)
        if result.interrupted and not (pairs.visible.info.live and result.frames_out):
            kept = keep_recordings(sink, recorder, pairs.count)
            tell(f"interrupted: {kept or NOTHING_RECORDED}")
        elif recorder is not None:
            recorder.complete()
        failures = [] if recorder is None or recorder.failure is None else [recorder.failure]
        if tracks is not None:
            with _noting(failures):
                names = {"network": summary.network, "backend": summary.backend}
                write_trace(tracks, result.ledger, names)
        if page is not None and keeper is not None:
            from mgdn_edge.runtime.report.fuse_report import write_fuse_report

            with _noting(failures):
                write_fuse_report(page, summary, result.ledger, keeper.frames(), command)
        if failures:
            if recorder is not None and (short := recorder.keep()) is not None:
                failures.append(short.sentence(pairs.count))
            failures.append(f"{where} is there, with {result.frames_out} frames")
            raise EndedEarlyError("; ".join(failures), summary)
        return summary


def _claim(outputs: Outputs, path: Path | None, option: str, suffix: str) -> Output | None:
    return None if path is None else outputs.claim(path, option, suffix)


@contextmanager
def _noting(failures: list[str]) -> Iterator[None]:
    """A side file that fails is told at the end: it does not take the recording with it."""
    try:
        yield
    except UserError as error:
        failures.append(str(error))


def keep_recordings(sink: AnySink, recorder: CountsRecorder | None, total: int) -> str:
    """Leave what is not complete under its partial name: where, and how many frames of ``total``.

    "" where no frame was recorded.
    """
    kept = [sink.keep(), None if recorder is None else recorder.keep()]
    return ", ".join(each.sentence(total) for each in kept if each is not None)


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
