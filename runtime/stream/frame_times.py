"""The time of each frame, as its pace defines it, and plain words for the stages."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.stream.ledger import END_TO_END, STAGES, span_ns

Pace = Literal["none", "source"]

WORK_STAGES = tuple(name for name in STAGES if not name.endswith("_wait"))

STAGE_WORDS = {
    "reader_wait": "waiting for the reader",
    "decode": "decoding visible",
    "pair": "decoding infrared",
    "fusion_wait": "waiting for fusion",
    "align": "aligning infrared",
    "copy_in": "copying in",
    "infer_wait": "waiting for inference",
    "infer": "inference",
    "writer_wait": "waiting for the writer",
    "copy_out": "copying out",
    "compose": "adding colour",
    "encode": "encoding",
    "out": "writing",
}


def frame_times_ns(rows: npt.NDArray[np.void], pace: Pace) -> npt.NDArray[np.int64]:
    """(N,) ledger rows -> (N,) int64 nanoseconds each frame took.

    Pace "source": from capture to output, the latency. Pace "none": the work stages alone,
    since full queues make every frame wait as long as they are deep.
    """
    if pace == "source":
        return span_ns(rows, END_TO_END)
    total = np.zeros(len(rows), np.int64)
    for name in WORK_STAGES:
        total += span_ns(rows, name)
    return total


def frame_time_ns(stamps: FrameStamps, pace: Pace) -> int:
    """The same for one frame whose stamps are complete."""
    if pace == "source":
        return stamps.out_ns - stamps.capture_ns
    spans = (STAGES[name] for name in WORK_STAGES)
    return sum(int(getattr(stamps, end) - getattr(stamps, begin)) for begin, end in spans)
