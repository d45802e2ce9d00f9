"""What `mgdn fuse --report` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mgdn_edge.runtime.machine.environment import describe_environment
from mgdn_edge.runtime.report.document import write_document
from mgdn_edge.runtime.report.pictures import colour_image, encode_picture
from mgdn_edge.runtime.report.plots import draw_bars, plot_frames
from mgdn_edge.runtime.stream.frame_times import STAGE_WORDS, WORK_STAGES, frame_times_ns
from mgdn_edge.runtime.stream.latency import percentiles, warmup_frames
from mgdn_edge.runtime.whole_file import Output

if TYPE_CHECKING:
    from mgdn_edge.runtime.report.pictures import Picture
    from mgdn_edge.runtime.stream.latency import Percentiles
    from mgdn_edge.runtime.stream.result import FuseResult, KeptFrame, Summary

SHORTEST_BAR_MS = 0.01  # less reads 0.00 in the table


def write_fuse_report(output: Output, result: FuseResult, command: str) -> None:
    """What a stream did -> an HTML file that states ``command``."""
    summary, ledger, frames = result.summary, result.ledger, result.pictures
    rows, counts = ledger.rows, summary.frames
    times = frame_times_ns(rows, summary.pace)
    figures = percentiles(times, warmup_frames(len(times))) if len(times) else None
    plot = None
    if figures is not None:
        title = "capture to output" if summary.pace == "source" else "work on each frame"
        marks = {"95 % within": figures.p95, "half within": figures.p50}
        plot = plot_frames(times, rows["seq"], ledger.dropped["seq"], marks, title)
    busiest = busiest_stage(summary)
    write_document(
        output,
        "fuse.html",
        verdict=fuse_verdict(summary, figures),
        flawed=bool(counts.dropped or summary.interrupted or not counts.out),
        summary=summary,
        figures=figures,
        busiest=STAGE_WORDS.get(busiest or "", ""),
        plot=plot,
        bars=draw_bars(shown_stages(summary), STAGE_WORDS),
        words=STAGE_WORDS,
        strips=[(frame_caption(frame, summary), draw_strip(frame)) for frame in frames],
        environment=describe_environment(
            summary.versions,
            {
                "network": summary.network,
                "backend": summary.backend,
                "variant": summary.variant,
                "precision": summary.precision,
                "filter": summary.filter_implementation,
                **summary.execution,
                "pace": summary.pace,
                "frame size": summary.size,
                "output": summary.output,
            },
        ),
        command=command,
    )


def fuse_verdict(summary: Summary, figures: Percentiles | None) -> str:
    """One plain sentence: how many frames, how fast, what takes longest."""
    counts = summary.frames
    if figures is None:
        return f"No frame was fused; {counts.in_} were read."
    plural = "frame" if counts.out == 1 else "frames"
    parts = [f"{counts.out} {plural} fused, {counts.dropped or 'none'} dropped"]
    if counts.lost:
        parts[0] += f" ({counts.lost} lost without a server)"
    if summary.pace == "source":
        parts.append(f"95 % shown within {figures.p95:.0f} ms of capture")
    else:
        parts.append(f"{summary.fps:.0f} per second, 95 % within {figures.p95:.0f} ms of work each")
    busiest = busiest_stage(summary)
    if busiest is not None:
        parts.append(f"{STAGE_WORDS[busiest]} takes longest")
    if summary.interrupted:
        parts.append("interrupted before the end")
    return f"{'; '.join(parts)}."


def busiest_stage(summary: Summary) -> str | None:
    """The work stage with the longest median, None where no frame was fused."""
    work = {name: figures for name, figures in summary.stages.items() if name in WORK_STAGES}
    return max(work, key=lambda name: work[name].p50, default=None)


def shown_stages(summary: Summary) -> dict[str, Percentiles]:
    """The stages worth a bar: waits only where they are latency, none that takes no time."""
    return {
        name: figures
        for name, figures in summary.stages.items()
        if figures.p95 >= SHORTEST_BAR_MS and (name in WORK_STAGES or summary.pace == "source")
    }


def frame_caption(frame: KeptFrame, summary: Summary) -> str:
    """Which frame, why it is shown and how long it took."""
    name = frame.visible.stem or f"frame {frame.visible.seq}"
    roles = " and ".join(frame.roles)
    return f"{name}, {roles}: {frame.time_ns / 1e6:.1f} ms"


def draw_strip(frame: KeptFrame) -> list[Picture]:
    """Visible, infrared and fused, fused with the visible frame's colours."""
    seq = frame.visible.seq
    infrared = np.asarray(frame.infrared, np.uint8)
    return [
        encode_picture(
            colour_image(frame.visible.y, frame.visible), "visible", f"visible, frame {seq}"
        ),
        encode_picture(infrared, "infrared", f"infrared, frame {seq}"),
        encode_picture(
            colour_image(frame.fused, frame.visible),
            "fused",
            f"fused, frame {seq}: visible and infrared in one picture",
        ),
    ]
