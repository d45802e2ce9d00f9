"""``bench_filter``: the native DynamicFilter beside the other ways to compute it."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from mgdn_edge.export.filter_contenders import (
    FilterCase,
    prepare_body,
    prepare_copy,
    prepare_native,
    prepare_unfold,
)
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.turns import Contender, TurnFigures, Work, take_turns

SCHEMA = "mgdn.bench-filter/1"
NATIVE, COPY, BODY, UNFOLD = "native", "copy", "function body", "unfold"

CASES = (
    FilterCase(30, 480, 640),
    FilterCase(16, 120, 160),
    FilterCase(32, 120, 160),
    FilterCase(16, 720, 1280),
    FilterCase(32, 720, 1280),
    FilterCase(30, 480, 640, dtype="float16"),
    FilterCase(32, 720, 1280, dtype="float16"),
    FilterCase(1, 480, 640, kernel_size=5, upscale=4),
)
# What takes seconds and gigabytes runs on the first case only, and after the native kernel and the
# copy: in turns with them it would leave other data in every cache and time that.
SLOW = (FilterCase(30, 480, 640),)
SLOW_ROUNDS_SHARE = 4


class FilterMethod(msgspec.Struct, frozen=True):
    """One way on one case: milliseconds, its ratio to the copy and to native, memory of its own."""

    name: str
    wall_ms: float | None
    cpu_ms: float | None
    per_copy: float | None
    per_native: float | None
    extra_mib: float | None
    failure: str | None


class CaseFigures(msgspec.Struct, frozen=True):
    """Every way on one case."""

    case: str
    bytes: int
    methods: list[FilterMethod]


class FilterReport(msgspec.Struct, frozen=True):
    """All cases; times are minima over ``rounds`` turns."""

    schema: str
    threads: int
    rounds: int
    implementation: str
    cases: list[CaseFigures]
    versions: dict[str, str]


def bench_filter(
    cases: Sequence[FilterCase] = CASES,
    *,
    threads: int,
    rounds: int = 12,
    progress: Progress = SILENT,
) -> FilterReport:
    """Time every way on every case in turns.

    Minima, because whatever else the machine does only adds. NativeLibraryError where the
    library is not built.
    """
    from mgdn_edge.plugins.native import best_implementation

    implementation = best_implementation().name
    plans = [_plans(case, threads, rounds) for case in cases]
    progress.begin("timing filters", sum(plan.turns for each in plans for plan in each))
    results = []
    for case, parts in zip(cases, plans, strict=True):
        figures: list[TurnFigures] = []
        for plan in parts:
            figures += take_turns(plan.contenders, rounds=plan.rounds, progress=progress)
        results.append(CaseFigures(case.name, case.bytes, _methods(figures)))
    progress.done()
    return FilterReport(SCHEMA, threads, rounds, implementation, results, installed_versions())


class _Plan(msgspec.Struct, frozen=True):
    """Contenders that take turns."""

    contenders: list[Contender]
    rounds: int

    @property
    def turns(self) -> int:
        """With one round that warms up."""
        return len(self.contenders) * (self.rounds + 1)


def _plans(case: FilterCase, threads: int, rounds: int) -> list[_Plan]:
    def contend(**ways: Callable[[FilterCase, int], Work]) -> list[Contender]:
        return [Contender(name, prepare, (case, threads)) for name, prepare in ways.items()]

    plans = [_Plan(contend(**{NATIVE: prepare_native, COPY: prepare_copy}), rounds)]
    if case in SLOW:
        slow = contend(**{BODY: prepare_body, UNFOLD: prepare_unfold})
        plans.append(_Plan(slow, max(2, rounds // SLOW_ROUNDS_SHARE)))
    return plans


def _methods(figures: Sequence[TurnFigures]) -> list[FilterMethod]:
    wall = {each.name: min(each.wall_ns) / 1e6 for each in figures if not each.failure}
    cpu = {each.name: min(each.cpu_ns) / 1e6 for each in figures if not each.failure}

    def ratio(name: str, base: str) -> float | None:
        return round(wall[name] / wall[base], 2) if name in wall and base in wall else None

    return [
        FilterMethod(
            each.name,
            _rounded(wall.get(each.name)),
            _rounded(cpu.get(each.name)),
            ratio(each.name, COPY),
            ratio(each.name, NATIVE),
            None if each.failure else round(each.extra_bytes / 2**20, 1),
            each.failure,
        )
        for each in figures
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(np.round(value, 3))
