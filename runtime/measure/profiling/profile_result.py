"""ProfileReport: everything `mgdn profile` found, as in its JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.machine.conditions import Conditions
from mgdn_edge.runtime.machine.power import Energy
from mgdn_edge.runtime.stream.latency import Percentiles

SCHEMA = "mgdn.profile/1"
# The sum was 100.3 % of the measured time on a quiet machine (mgdn-edge, 2 threads), 96 to 116 % on
# a busy one; beyond this, other work ran.
BALANCED = 0.05
MOST_MODULES = 12  # rows a table of modules may have


How = Literal["name", "order", "unknown"]
Bound = Literal["memory", "arithmetic", "neither"]


class PartFigures(msgspec.Struct, frozen=True):
    """One part of the network in a frame: milliseconds, share of the frame's, and its roof.

    ``nodes`` are those of ``graph.json`` it computes; ``bytes`` is None where nothing says how many
    move, ``roof_ms`` the least time the ceilings allow, ``of_roof`` that over ``ms``.
    """

    name: str
    module: str
    operator: str
    how: How
    is_layout: bool
    ms: float
    share: float
    kernels: int
    nodes: tuple[str, ...]
    flops: int
    bytes: int | None
    roof_ms: float
    of_roof: float
    bound: Bound | None

    @property
    def gflops(self) -> float:
        """Arithmetic a second, 1e9."""
        return self.flops / self.ms / 1e6 if self.ms else 0.0

    @property
    def gbps(self) -> float | None:
        """Bytes a second, 1e9."""
        return None if self.bytes is None or not self.ms else self.bytes / self.ms / 1e6


class Account(msgspec.Struct, frozen=True):
    """Where a frame's milliseconds are, beside the same frames measured unprofiled.

    ``kernels_ms`` + ``between_ms`` + ``session_ms`` + ``call_ms`` = ``sum_ms``: kernels, the
    executor between them, ONNX Runtime's run around it, and the call from Python. ``profiler_ms``
    is what the profiler added to them and they leave out, measured on its own. ``measured_ms`` are
    the unprofiled frames, ``of_measured`` the ratio of the sum to them; all are means over the
    middle half of the frames. ``unknown_share`` of the kernels' time could be joined to no node.
    """

    kernels_ms: float
    between_ms: float
    session_ms: float
    call_ms: float
    sum_ms: float
    profiler_ms: float
    measured_ms: float
    of_measured: float
    unknown_share: float

    @property
    def is_balanced(self) -> bool:
        """Whether the sum is near enough what was measured to read milliseconds."""
        return abs(self.of_measured - 1) <= BALANCED

    def sentence(self) -> str:
        """The sum in one line."""
        return (
            f"nodes {self.kernels_ms:.2f} ms + between nodes {self.between_ms:.2f} + session "
            f"{self.session_ms:.2f} + call {self.call_ms:.2f} = {self.sum_ms:.2f} ms, "
            f"{100 * self.of_measured:.1f} % of the {self.measured_ms:.2f} ms measured unprofiled "
            f"(the profiler's own {self.profiler_ms:.2f} ms left out)"
        )


class Group(msgspec.Struct, frozen=True):
    """Parts that share a module or an operator: their milliseconds together, the longest first."""

    name: str
    ms: float
    share: float
    kernels: int
    flops: int


class ProfileReport(msgspec.Struct, frozen=True):
    """One network's profile on one machine under stated conditions.

    ``parts`` are in the order they ran. ``stages`` are the ledger's, of the unprofiled frames;
    ``inside`` splits the kernels' milliseconds into the network and what adapts frames to it.
    ``conditions`` are those before and after the frames.
    """

    schema: str
    network: str
    backend: str
    variant: str
    precision: str
    filter_implementation: FilterImplementation | None
    size: str
    facts_size: str
    threads: int
    usable_cpus: int
    frames: int
    account: Account
    stages: dict[str, Percentiles]
    inside: dict[str, float]
    parts: list[PartFigures]
    modules: list[Group]
    operators: list[Group]
    ceilings: Ceilings
    conditions: tuple[Conditions, Conditions]
    energy: Energy | None
    versions: dict[str, str]
    advice: list[str] = []


def group_modules(parts: Sequence[PartFigures]) -> list[Group]:
    """Parts by module, cut to as many levels as leave at most MOST_MODULES groups."""
    deepest = max((part.module.count(".") + 1 for part in parts), default=1)
    for depth in range(deepest, 0, -1):
        groups = group_parts(parts, partial(_module, depth=depth))
        if len(groups) <= MOST_MODULES:
            break
    return groups


def group_parts(parts: Sequence[PartFigures], name_of: Callable[[PartFigures], str]) -> list[Group]:
    """Parts by the name a function gives them, the longest first."""
    members: dict[str, list[PartFigures]] = {}
    for part in parts:
        members.setdefault(name_of(part), []).append(part)
    groups = [
        Group(
            name=name,
            ms=round(sum(part.ms for part in found), 5),
            share=round(sum(part.share for part in found), 5),
            kernels=sum(part.kernels for part in found),
            flops=sum(part.flops for part in found),
        )
        for name, found in members.items()
    ]
    return sorted(groups, key=lambda group: -group.ms)


def _module(part: PartFigures, depth: int) -> str:
    return ".".join(part.module.split(".")[:depth]) or "(no module)"


@dataclass(frozen=True)
class ProfileResult:
    """``report``, and (N,) int64 nanoseconds of each frame fused without the profiler."""

    report: ProfileReport
    frame_ns: npt.NDArray[np.int64]
