"""What each layer costs the picture in 8 bits, and what it saves: measured, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from mgdn_edge.runtime.quality.precision_verdict import NodeDecision, QualityFigures

MOST_UNITS = 24  # measured one by one; deeper networks are measured module by module


class Unit(NamedTuple):
    """Layers that are in 8 bits together or not: one node, or all of a module."""

    name: str
    nodes: tuple[str, ...]


class UnitLoss(msgspec.Struct, frozen=True):
    """One unit alone in 8 bits, all else float32: the picture's PSNR and SSIM, and ms saved.

    ``saved_ms`` is negative where 8 bits are slower, None where the target was not timed.
    """

    unit: str
    nodes: tuple[str, ...]
    psnr: float
    ssim: float
    saved_ms: float | None


def list_units(decisions: Sequence[NodeDecision], most: int = MOST_UNITS) -> list[Unit]:
    """The layers in 8 bits, by node, or by module as deep as gives at most ``most``.

    Residual additions are not units: they follow the layers they add.
    """
    layers = [each for each in decisions if each.precision == "int8" and each.operator != "Add"]
    if len(layers) <= most:
        return [Unit(each.node, (each.node,)) for each in layers]
    deepest = max(each.module.count(".") for each in layers) + 1
    units: dict[str, list[str]] = {}
    for depth in range(deepest, 0, -1):
        units = {}
        for each in layers:
            module = ".".join(each.module.split(".")[:depth])
            units.setdefault(module, []).append(each.node)
        if len(units) <= most:
            break
    return [Unit(name, tuple(nodes)) for name, nodes in units.items()]


def measure_losses(
    units: Sequence[Unit],
    judge: Callable[[Sequence[Unit]], QualityFigures],
    time: Callable[[Sequence[Sequence[Unit]]], list[float] | None],
) -> list[UnitLoss]:
    """Units -> their losses: ``judge`` and ``time`` measure the network with those units in 8 bits.

    ``time`` gets sets of units, the empty one is float32; it returns ms a frame or None.
    """
    times = time([(), *((unit,) for unit in units)])
    losses = []
    for number, unit in enumerate(units, start=1):
        quality = judge((unit,))
        saved = None if times is None else round(times[0] - times[number], 4)
        losses.append(UnitLoss(unit.name, unit.nodes, quality.psnr_mean, quality.ssim_mean, saved))
    return losses


def order_by_worth(losses: Sequence[UnitLoss]) -> list[str]:
    """Unit names, the first to give up first: most squared error for each ms saved."""

    def price(loss: UnitLoss) -> float:
        error = 10 ** (-loss.psnr / 10)
        if loss.saved_ms is None:
            return error
        return error / loss.saved_ms if loss.saved_ms > 0 else float("inf")

    return [loss.unit for loss in sorted(losses, key=lambda each: (-price(each), each.unit))]
