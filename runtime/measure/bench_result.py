"""What bench_networks measured."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.machine.conditions import Conditions
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.stream.latency import Percentiles

SCHEMA = "mgdn.bench/1"


class NetworkFigures(msgspec.Struct, frozen=True):
    """One network's milliseconds per ``fuse``, and its p50 over the first network's.

    ``execution`` says how the backend computed: device, memory, CUDA graph, a fallback.
    """

    network: str
    backend: str
    variant: str
    precision: str
    filter_implementation: FilterImplementation | None
    fuse: Percentiles
    ratio: float
    execution: dict[str, str] = {}


class BenchReport(msgspec.Struct, frozen=True):
    """Figures of all networks on the same frames, measured in turns.

    ``conditions`` are the machine's before the first frame and after the last.
    """

    schema: str
    size: str
    threads: int | None
    networks: list[NetworkFigures]
    versions: dict[str, str]
    conditions: tuple[Conditions, Conditions]


@dataclass(frozen=True)
class BenchResult:
    """``report`` and what a page shows beside it.

    ``times_ns`` is (networks, frames) int64; ``pair`` a drawn scene, ``fused`` what each network
    makes of it, (H, W) uint8 all.
    """

    report: BenchReport
    times_ns: npt.NDArray[np.int64]
    pair: tuple[Plane, Plane]
    fused: list[Plane]
