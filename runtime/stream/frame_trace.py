"""write_trace: ledger rows -> a Chrome trace, which Perfetto and chrome://tracing open.

One track for each thread holds the work; waits overlap between frames, so they lie inside their
frame's own track. Trace Event Format, "X" complete, "b"/"e" nestable async, "i" instant, "M"
metadata events:
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.secrets.redaction import redact
from mgdn_edge.runtime.stream.ledger import STAGES, Ledger
from mgdn_edge.runtime.whole_file import Output

PROCESS = 1
TRACKS = {
    "reader": ("decode", "pair"),
    "fusion": ("align", "copy_in"),
    "inference": ("infer",),
    "writer": ("copy_out", "compose", "encode", "out"),
}
TRACK_NUMBERS = {name: number for number, name in enumerate(TRACKS, start=1)}
STAGE_TRACKS = {stage: TRACK_NUMBERS[name] for name, stages in TRACKS.items() for stage in stages}

TraceEvent = dict[str, Any]


def write_trace(output: Output, ledger: Ledger, names: dict[str, str]) -> None:
    """Every finished and dropped frame of ``ledger`` -> ``output``, written whole.

    ``names`` (network, backend ...) goes into the file's metadata, redacted. Raises UserError
    where the file cannot be written.
    """
    document = {
        "displayTimeUnit": "ms",
        "otherData": {name: redact(value) for name, value in names.items()},
        "traceEvents": list(trace_events(ledger.rows, ledger.dropped)),
    }
    output.write(msgspec.json.encode(document))


def trace_events(rows: npt.NDArray[np.void], dropped: npt.NDArray[np.void]) -> Iterator[TraceEvent]:
    """(N,) ledger rows, (M,) dropped -> events; microseconds from the first capture on."""
    yield {"ph": "M", "name": "process_name", "pid": PROCESS, "args": {"name": "mgdn fuse"}}
    for name, number in TRACK_NUMBERS.items():
        yield {
            "ph": "M", "name": "thread_name", "pid": PROCESS, "tid": number, "args": {"name": name},
        }  # fmt: skip
    starts = [*rows["capture_ns"][:1].tolist(), *dropped["dropped_ns"][:1].tolist()]
    start_ns = min(starts, default=0)

    def microseconds(stamp_ns: int) -> float:
        return (stamp_ns - start_ns) / 1e3

    fields = rows.dtype.names or ()
    for values in rows.tolist():
        yield from _frame_events(dict(zip(fields, values, strict=True)), microseconds)
    for seq, pts_ns, dropped_ns in dropped.tolist():
        yield {
            "ph": "i", "s": "t", "name": "dropped", "cat": "dropped", "pid": PROCESS,
            "tid": TRACK_NUMBERS["reader"], "ts": microseconds(dropped_ns),
            "args": {"frame": seq, "pts_ns": pts_ns},
        }  # fmt: skip


def _frame_events(
    row: dict[str, int], microseconds: Callable[[int], float]
) -> Iterator[TraceEvent]:
    frame = {"pid": PROCESS, "cat": "frame", "id": row["seq"]}
    args = {"frame": row["seq"], "pts_ns": row["pts_ns"]}
    name = f"frame {row['seq']}"
    begin, end = microseconds(row["capture_ns"]), microseconds(row["out_ns"])
    yield {**frame, "ph": "b", "name": name, "tid": 0, "ts": begin, "args": args}
    for stage, (first, last) in STAGES.items():
        began_ns, ended_ns = row[first], row[last]
        if ended_ns == began_ns:  # nothing was waited for or aligned
            continue
        began = microseconds(began_ns)
        if stage in STAGE_TRACKS:
            yield {
                "ph": "X", "name": stage, "cat": "stage", "pid": PROCESS,
                "tid": STAGE_TRACKS[stage], "ts": began, "dur": (ended_ns - began_ns) / 1e3,
                "args": args,
            }  # fmt: skip
        else:
            yield {**frame, "ph": "b", "name": stage, "tid": 0, "ts": began}
            yield {**frame, "ph": "e", "name": stage, "tid": 0, "ts": microseconds(ended_ns)}
    yield {**frame, "ph": "e", "name": name, "tid": 0, "ts": end}
