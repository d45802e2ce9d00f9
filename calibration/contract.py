"""A contract: what a file of lower precision must keep, such as "ssim>=0.995, p95<=25ms"."""

from __future__ import annotations

import re
from typing import NamedTuple

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.quality.precision_verdict import QualityFigures, SpeedFigures

# Name -> its unit. Those of QUALITY are figures of the picture, those of TIME of the clock.
QUALITY = {"psnr": "dB", "psnr_worst": "dB", "ssim": "", "ssim_worst": "", "shift": "%"}
TIME = {"p50": "ms", "p95": "ms"}
LARGER_IS_BETTER = ("psnr", "psnr_worst", "ssim", "ssim_worst")
CLAUSE = re.compile(r"(\w+)\s*(>=|<=)\s*(\d+(?:\.\d+)?)\s*(dB|ms|%)?")


class ContractClause(NamedTuple):
    """One limit, in its figure's unit."""

    name: str
    bound: float

    @property
    def about_time(self) -> bool:
        """True for a limit that a clock decides."""
        return self.name in TIME

    def __str__(self) -> str:
        """As it is typed."""
        sign = ">=" if self.name in LARGER_IS_BETTER else "<="
        return f"{self.name}{sign}{self.bound:g}{ {**QUALITY, **TIME}[self.name] }"


def parse_contract(text: str) -> tuple[ContractClause, ...]:
    """Clauses joined by commas -> the contract; UserError naming what a clause may be."""
    clauses = []
    for part in text.split(","):
        found = CLAUSE.fullmatch(part.strip())
        name = found[1] if found else ""
        sign = ">=" if name in LARGER_IS_BETTER else "<="
        units = {**QUALITY, **TIME}
        if found is None or name not in units or found[2] != sign or found[4] not in (
            None, units[name],
        ):  # fmt: skip
            raise UserError(
                f"--contract clause {part.strip()!r} is not one of psnr>=N, psnr_worst>=N, "
                "ssim>=N, ssim_worst>=N, shift<=N%, p50<=Nms, p95<=Nms; such as "
                "--contract 'ssim>=0.995, p95<=25ms'"
            )
        clauses.append(ContractClause(name, float(found[3])))
    return tuple(clauses)


def measured(
    clause: ContractClause, quality: QualityFigures, speed: SpeedFigures | None
) -> float | None:
    """The figure a clause is about, None where it was not measured."""
    if clause.about_time:
        return None if speed is None else float(getattr(speed, clause.name))
    return {
        "psnr": quality.psnr_mean,
        "psnr_worst": quality.psnr_worst,
        "ssim": quality.ssim_mean,
        "ssim_worst": quality.ssim_worst,
        "shift": 100 * abs(quality.shift),
    }[clause.name]


def shortfall(clause: ContractClause, value: float) -> float:
    """By how much ``value`` misses the clause, in its unit; zero where it keeps it."""
    missing = clause.bound - value if clause.name in LARGER_IS_BETTER else value - clause.bound
    return max(0.0, missing)


def broken_clauses(
    contract: tuple[ContractClause, ...],
    quality: QualityFigures,
    speed: SpeedFigures | None,
    backend: str,
) -> list[str]:
    """One sentence for each clause that is not kept, and by how much."""
    sentences = []
    for clause in contract:
        value = measured(clause, quality, speed)
        unit = {**QUALITY, **TIME}[clause.name]
        if value is None:
            sentences.append(f"contract {clause}: not measured on {backend}")
        elif missing := shortfall(clause, value):
            sentences.append(
                f"contract {clause}: {value:.4g}{unit}, misses it by {missing:.2g}{unit}"
            )
    return sentences
