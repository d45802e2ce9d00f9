"""QuantizeResult: what a quantisation measured and wrote."""

from __future__ import annotations

from typing import NamedTuple

from mgdn_edge.calibration.candidate_trial import TrialResult
from mgdn_edge.calibration.precision_search import SearchResult
from mgdn_edge.calibration.qdq import Target
from mgdn_edge.runtime.bundle.manifest import Manifest
from mgdn_edge.runtime.bundle.ranges import Ranges


class QuantizeResult(NamedTuple):
    """What was measured and written."""

    manifest: Manifest
    ranges: Ranges
    results: list[TrialResult]
    searches: dict[Target, SearchResult]
