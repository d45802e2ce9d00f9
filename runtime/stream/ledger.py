"""Ledger: one row of nanosecond stamps per frame, from capture to output.

All stamps are ``time.perf_counter_ns``. A stage is the difference of two of them, so every
latency figure, trace and histogram comes from the same rows.
"""

from __future__ import annotations

import threading
from dataclasses import astuple, fields

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps

# name -> (begin, end); the waits are stages too, so the stages add up to end_to_end.
STAGES: dict[str, tuple[str, str]] = {
    "reader_wait": ("capture_ns", "read_ns"),
    "decode": ("read_ns", "decoded_ns"),
    "pair": ("decoded_ns", "paired_ns"),
    "fusion_wait": ("paired_ns", "taken_ns"),
    "align": ("taken_ns", "aligned_ns"),
    "copy_in": ("aligned_ns", "copied_in_ns"),
    "infer_wait": ("copied_in_ns", "infer_begin_ns"),
    "infer": ("infer_begin_ns", "infer_end_ns"),
    "writer_wait": ("infer_end_ns", "collected_ns"),
    "copy_out": ("collected_ns", "copied_out_ns"),
    "compose": ("copied_out_ns", "composed_ns"),
    "encode": ("composed_ns", "encoded_ns"),
    "out": ("encoded_ns", "out_ns"),
}
END_TO_END = "end_to_end"
SPANS: dict[str, tuple[str, str]] = {**STAGES, END_TO_END: ("capture_ns", "out_ns")}

ROW_DTYPE = np.dtype([(field.name, np.int64) for field in fields(FrameStamps)])
DROPPED_DTYPE = np.dtype([("seq", np.int64), ("pts_ns", np.int64), ("dropped_ns", np.int64)])
FIRST_CAPACITY = 1024


class _GrowingRows:
    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._rows: npt.NDArray[np.void] = np.zeros(FIRST_CAPACITY, dtype)
        self._count = 0

    def append(self, values: tuple[int, ...]) -> None:
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self._count] = values
        self._count += 1

    def view(self) -> npt.NDArray[np.void]:
        return self._rows[: self._count]


class Ledger:
    """Rows of finished frames and records of dropped ones; safe to add from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = _GrowingRows(ROW_DTYPE)
        self._dropped = _GrowingRows(DROPPED_DTYPE)

    def add(self, stamps: FrameStamps) -> None:
        """Record a frame that reached the output."""
        with self._lock:
            self._rows.append(astuple(stamps))

    def add_dropped(self, seq: int, pts_ns: int, dropped_ns: int) -> None:
        """Record a frame that a newer one replaced before it was fused, or that nobody took."""
        with self._lock:
            self._dropped.append((seq, pts_ns, dropped_ns))

    @property
    def rows(self) -> npt.NDArray[np.void]:
        """(N,) structured int64, fields of FrameStamps: finished frames in output order."""
        with self._lock:
            return self._rows.view()

    @property
    def dropped(self) -> npt.NDArray[np.void]:
        """(N,) structured int64 seq, pts_ns, dropped_ns: frames that never reached the output."""
        with self._lock:
            return self._dropped.view()


def span_ns(rows: npt.NDArray[np.void], name: str) -> npt.NDArray[np.int64]:
    """(N,) ledger rows, a name of SPANS -> (N,) int64 durations in nanoseconds."""
    begin, end = SPANS[name]
    duration: npt.NDArray[np.int64] = rows[end] - rows[begin]
    return duration
