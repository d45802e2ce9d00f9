"""What a stream did: its figures, its ledger, the frames kept to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from mgdn_edge.runtime.alignment.drift_figures import DriftFigures
from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.pairing.timed_options import PairPolicy
from mgdn_edge.runtime.picture.frame import InfraredPlane, Plane, VisibleFrame
from mgdn_edge.runtime.stream.frame_times import Pace
from mgdn_edge.runtime.stream.latency import Percentiles
from mgdn_edge.runtime.stream.ledger import Ledger

SCHEMA = "mgdn.fuse/1"


class PairingFigures(msgspec.Struct, frozen=True):
    """``skew`` is how far the frames of a pair lie apart, in milliseconds either way.

    ``unpaired`` visible frames had no partner and were left out, ``overtaken`` ones of a live
    camera were replaced by newer ones before they were paired; ``resets`` counts restarts of
    either camera's clock.
    """

    policy: PairPolicy
    offset_ms: float
    skew_ppm: float
    unpaired: int
    overtaken: int
    resets: int
    skew: Percentiles | None


class FrameCounts(msgspec.Struct, frozen=True, rename={"in_": "in"}):
    """Frames read, written, and not: ``in`` = ``out`` + ``dropped``.

    Dropped are those that newer ones have overtaken and, where the output is a network stream, the
    ``lost`` ones, which no server took.
    """

    in_: int
    out: int
    dropped: int
    lost: int | msgspec.UnsetType = msgspec.UNSET


class Summary(msgspec.Struct, frozen=True):
    """What was fused, by what, how fast. ``stages`` are milliseconds by stage name.

    ``size`` is "WIDTHxHEIGHT", or null where the frames differ. ``fps`` is frames out over the
    time from the first frame's capture to the last one's output. Under pace "none" queues are
    kept full, so ``end_to_end`` measures them; pace "source" measures latency. ``execution`` says
    how the backend computed: device, memory, CUDA graph, a fallback. ``reconnects`` says how often
    each network stream was connected again: "visible", "infrared", "output", where they are any.
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
    reconnects: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


@dataclass
class KeptFrame:
    """One frame's pictures: why it was kept, and its time as its pace defines it."""

    roles: list[str]
    visible: VisibleFrame
    infrared: InfraredPlane
    fused: Plane
    time_ns: int


@dataclass(frozen=True)
class FuseResult:
    """``summary`` for people and programs, ``ledger`` a row a frame, ``pictures`` where asked for.

    ``failures`` are sentences about files beside the output that could not be kept.
    """

    summary: Summary
    ledger: Ledger
    pictures: list[KeptFrame] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
