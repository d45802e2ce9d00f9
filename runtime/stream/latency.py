"""Percentiles of the ledger's stages, and their table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.stream.ledger import SPANS, span_ns

if TYPE_CHECKING:
    from rich.table import Table

# The first frames pay for thread start-up, page faults and encoder look-ahead: up to ten are
# left out, never more than a tenth, so that short runs keep their figures.
MAX_WARMUP = 10


class Percentiles(msgspec.Struct, frozen=True):
    """Durations in milliseconds over ``n`` frames, after ``warmup`` frames left out."""

    p50: float
    p95: float
    p99: float
    max: float
    n: int
    warmup: int


def warmup_frames(frames: int) -> int:
    """How many of the first ``frames`` the figures leave out."""
    return min(MAX_WARMUP, frames // 10)


def percentiles(durations_ns: npt.NDArray[np.int64], warmup: int) -> Percentiles:
    """(N,) int64 nanoseconds, N > warmup -> percentiles in milliseconds (linear interpolation)."""
    kept = durations_ns[warmup:] / 1e6
    p50, p95, p99 = (round(float(value), 4) for value in np.percentile(kept, (50, 95, 99)))
    return Percentiles(p50, p95, p99, round(float(kept.max()), 4), len(kept), warmup)


def measure_stages(rows: npt.NDArray[np.void]) -> dict[str, Percentiles]:
    """(N,) ledger rows -> percentiles by stage name and ``end_to_end``; empty when N is 0."""
    if not len(rows):
        return {}
    warmup = warmup_frames(len(rows))
    return {name: percentiles(span_ns(rows, name), warmup) for name in SPANS}


def latency_table(stages: Mapping[str, Percentiles], title: str) -> Table:
    """Percentiles by name -> a table for ``rich.console.Console.print``."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("ms")
    for heading in ("p50", "p95", "p99", "max", "n", "warm-up"):
        table.add_column(heading, justify="right")
    for name, figures in stages.items():
        times = (figures.p50, figures.p95, figures.p99, figures.max)
        table.add_row(name, *(f"{time:.2f}" for time in times), str(figures.n), str(figures.warmup))
    return table
