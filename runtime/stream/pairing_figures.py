"""PairingFigures: what pairing by time did, for the summary."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.pairing.by_time import TimedPairs
from mgdn_edge.runtime.pairing.pairs import Pairs
from mgdn_edge.runtime.stream.latency import percentiles
from mgdn_edge.runtime.stream.result import PairingFigures


def pairing_figures(pairs: Pairs, rows: npt.NDArray[np.void]) -> PairingFigures | None:
    """Figures of a finished stream's (N,) ledger rows; None where pairs go by order."""
    if not isinstance(pairs, TimedPairs):
        return None
    clock = pairs.options.clock
    return PairingFigures(
        policy=pairs.options.policy,
        offset_ms=clock.offset_ms,
        skew_ppm=clock.skew_ppm,
        unpaired=pairs.unpaired,
        overtaken=pairs.overtaken,
        resets=pairs.resets,
        skew=percentiles(np.abs(rows["pair_skew_ns"]), 0) if len(rows) else None,
    )
