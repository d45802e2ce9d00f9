"""search_precisions: the fastest precisions that keep a contract, given up one layer at a time.

Greedy: all layers in 8 bits first, then the layer that costs the picture most for each millisecond
it saves goes back to float, and so on. Pictures are judged on calibration pairs, so that the gate's
held-out pairs stay unseen; all points are timed in turns with one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from mgdn_edge.calibration.candidate_measurements import (
    SPEED_SIZE,
    JudgedFrame,
    judge_pictures,
    measure_speed,
)
from mgdn_edge.calibration.clip_points import ClipPoints
from mgdn_edge.calibration.contract import ContractClause, broken_clauses, measured, shortfall
from mgdn_edge.calibration.lowered_models import dynamic_variant, lower_model
from mgdn_edge.calibration.qdq import Target
from mgdn_edge.calibration.sensitivity import (
    Unit,
    UnitLoss,
    list_units,
    measure_losses,
    order_by_worth,
)
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.machine.progress import Progress
from mgdn_edge.runtime.quality.precision_verdict import (
    NodeDecision,
    QualityFigures,
    SpeedFigures,
    summarise_quality,
)
from mgdn_edge.runtime.whole_file import write_whole

KEY_DIGITS = 16  # of a search's key in its file's name; the file holds the whole key
FEW_UNITS = 8  # up to here the whole way to float32 is measured, for the plot

Decide = Callable[[Sequence[str]], tuple[NodeDecision, ...]]


class SearchPoint(msgspec.Struct, frozen=True):
    """One assignment: the units kept float, its picture, and its time where it was measured."""

    label: str
    kept: tuple[str, ...]
    quality: QualityFigures
    speed: SpeedFigures | None
    broken: tuple[str, ...]


class SearchResult(msgspec.Struct, frozen=True):
    """Losses by unit, points in the order tried, and the chosen one, None where none keeps all."""

    contract: str
    losses: tuple[UnitLoss, ...]
    points: tuple[SearchPoint, ...]
    chosen: int | None


class _StoredSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    judged: dict[str, QualityFigures]


class Measurements:
    """Pictures and times of a network with some units in 8 bits; pictures outlive a restart.

    They are kept in a file beside ``output`` named after the search, so that no other search
    goes on from it or removes it.
    """

    def __init__(
        self,
        bundle: Bundle,
        target: Target,
        decide: Decide,
        clips: dict[str, ClipPoints],
        frames: Sequence[JudgedFrame],
        output: Path,
        turns: int,
        progress: Progress,
    ) -> None:
        self.bundle, self.target, self.decide, self.clips = bundle, target, decide, clips
        self.frames, self.turns, self.progress = frames, turns, progress
        self.model = bundle.read(dynamic_variant(bundle).file)
        self.units = list_units(decide(()))
        names = [frame.pair.name for frame in frames]
        facts = msgspec.json.encode((target, clips, names, self.units), order="deterministic")
        self.key = hashlib.sha256(self.model + facts).hexdigest()
        name = f".{output.name}.{target}.{self.key[:KEY_DIGITS]}.search"
        self.path = output.with_name(name)
        self.judged = self._resume()
        self._ours = bool(self.judged) or not self.path.exists()

    def decisions(self, low: Sequence[Unit]) -> tuple[NodeDecision, ...]:
        """Every node's precision with only ``low`` in 8 bits."""
        kept = [n for unit in self.units if unit not in low for n in unit.nodes]
        return self.decide(kept)

    def judge(self, low: Sequence[Unit]) -> QualityFigures:
        """The picture with only ``low`` in 8 bits."""
        key = ",".join(sorted(unit.name for unit in low))
        if key not in self.judged:
            model = lower_model(self.model, self.decisions(low), self.clips, self.target)
            spec = self.bundle.manifest.spec
            qualities, _ = judge_pictures(model, spec, self.frames)
            self.judged[key] = summarise_quality(qualities)
            if self._ours:
                with suppress(OSError):  # costs nothing unless it is interrupted too
                    write_whole(
                        self.path, msgspec.json.encode(_StoredSearch(self.key, self.judged))
                    )
        self.progress.advance()
        return self.judged[key]

    def speeds(self, sets: Sequence[Sequence[Unit]]) -> list[SpeedFigures] | None:
        """Each set's time in turns, the first being float32; None where this is not the target."""
        if self.target != "cpu":
            return None
        models = [
            lower_model(self.model, self.decisions(low), self.clips, self.target) for low in sets
        ]
        spec = self.bundle.manifest.spec
        return measure_speed(
            models, spec, SPEED_SIZE, static=False, turns=self.turns, progress=self.progress
        )

    def times(self, sets: Sequence[Sequence[Unit]]) -> list[float] | None:
        """The same as medians in ms, each by its ratio to float32's."""
        speeds = self.speeds(sets)
        return None if speeds is None else [each.fp32_p50 * each.ratio for each in speeds]

    def forget(self) -> None:
        """Remove what a restart would go on from."""
        if self._ours:
            self.path.unlink(missing_ok=True)

    def _resume(self) -> dict[str, QualityFigures]:
        try:
            stored = msgspec.json.decode(self.path.read_bytes(), type=_StoredSearch)
        except (OSError, msgspec.DecodeError):  # none, or not of a search: begin anew
            return {}
        return stored.judged if stored.key == self.key else {}


def search_precisions(
    measurements: Measurements, contract: tuple[ContractClause, ...], backend: str
) -> SearchResult:
    """Losses of every unit, then points until one keeps the contract's picture clauses.

    Networks of at most FEW_UNITS are followed down to float32. The chosen point is the fastest of
    those that keep every clause; without times, the one with most units in 8 bits.
    """
    units = measurements.units
    losses = measure_losses(units, measurements.judge, measurements.times)
    order = order_by_worth(losses)
    pictures = tuple(clause for clause in contract if not clause.about_time)
    sets: list[tuple[Unit, ...]] = []
    for given_up in range(len(units) + 1):
        low = tuple(unit for unit in units if unit.name not in order[:given_up])
        sets.append(low)
        quality = measurements.judge(low)
        enough = not broken_clauses(pictures, quality, None, backend)
        if enough and len(units) > FEW_UNITS:
            break
    speeds = measurements.speeds([(), *sets])
    points = []
    for number, low in enumerate(sets):
        quality = measurements.judge(low)
        speed = None if speeds is None else speeds[number + 1]
        points.append(
            SearchPoint(
                label=f"{len(low)} of {len(units)} in int8",
                kept=tuple(order[: len(units) - len(low)]),
                quality=quality,
                speed=speed,
                broken=tuple(broken_clauses(contract, quality, speed, backend)),
            )
        )
    measurements.forget()
    keeping = [number for number, point in enumerate(points) if not point.broken]
    chosen = min(keeping, key=lambda number: _time(points[number], number), default=None)
    return SearchResult(", ".join(map(str, contract)), tuple(losses), tuple(points), chosen)


def best_point(result: SearchResult, contract: tuple[ContractClause, ...]) -> SearchPoint:
    """The chosen point, else the one that misses least by the sum of relative shortfalls."""
    if result.chosen is not None:
        return result.points[result.chosen]

    def missing(point: SearchPoint) -> float:
        total = 0.0
        for clause in contract:
            value = measured(clause, point.quality, point.speed)
            total += 0.0 if value is None else shortfall(clause, value) / max(clause.bound, 1e-9)
        return total

    return min(result.points, key=missing)


def explain_kept(result: SearchResult, point: SearchPoint) -> dict[str, str]:
    """Node -> why the search keeps it float, in measured figures."""
    reasons: dict[str, str] = {}
    for loss in result.losses:
        if loss.unit not in point.kept:
            continue
        saved = "" if loss.saved_ms is None else f" for {loss.saved_ms:.2f} ms"
        why = f"kept float by the contract: alone in 8 bits {loss.psnr:.1f} dB{saved}"
        reasons |= dict.fromkeys(loss.nodes, why)
    return reasons


def _time(point: SearchPoint, number: int) -> float:
    return float(number) if point.speed is None else point.speed.ratio
