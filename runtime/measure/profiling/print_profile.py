"""print_profile: a profile as tables and sentences on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgdn_edge.runtime.measure.profiling.profile_words import describe_profiled_run, profile_lines

if TYPE_CHECKING:
    from rich.table import Table

    from mgdn_edge.runtime.measure.profiling.profile_result import Group, PartFigures, ProfileReport

TOP_PARTS = 12


def print_profile(report: ProfileReport) -> None:
    """The sum, advice, then parts, modules, operators, stages and conditions."""
    from rich.console import Console

    console = Console(highlight=False)
    filtered = f", {report.filter_implementation} filter" if report.filter_implementation else ""
    console.print(
        f"{report.network} ({report.variant}, {report.precision}{filtered}) on {report.backend} at "
        f"{report.size}, {report.threads} threads, {report.frames} frames",
        soft_wrap=True,
    )
    for sentence in profile_lines(report):
        console.print(sentence, soft_wrap=True)
    console.print()
    for number, sentence in enumerate(report.advice, 1):
        console.print(f"{number}. {sentence}", soft_wrap=True, markup=False)
    console.print()
    console.print(parts_table(report.parts))
    console.print(groups_table(report.modules, "module"))
    console.print(groups_table(report.operators, "operator"))
    for name, text in describe_profiled_run(report).items():
        console.print(f"{name}: {text}", soft_wrap=True, markup=False)


def parts_table(parts: Sequence[PartFigures]) -> Table:
    """The longest parts with what they achieve and what bounds them."""
    from rich import box
    from rich.table import Table

    ranked = sorted(parts, key=lambda part: -part.ms)
    shown = ranked[:TOP_PARTS]
    title = f"longest {len(shown)} of {len(parts)} parts (bound by memory or arithmetic)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("node", overflow="fold", min_width=24)
    for heading in ("ms", "%", "GB/s", "GFLOP/s", "% roof"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bound", no_wrap=True)
    for part in shown:
        gbps = "-" if part.gbps is None else f"{part.gbps:.1f}"
        table.add_row(
            f"{part.name}{_note(part)}",
            f"{part.ms:.3f}",
            f"{100 * part.share:.1f}",
            gbps,
            f"{part.gflops:.1f}" if part.flops else "-",
            f"{100 * part.of_roof:.0f}" if part.roof_ms else "-",
            {"arithmetic": "arith"}.get(part.bound or "-", part.bound or "-"),
        )
    return table


def _note(part: PartFigures) -> str:
    """The operator where the node's name does not say it, and how many kernels it took."""
    operator = "" if part.operator in part.name else f" ({part.operator})"
    return f"{operator} ({part.kernels} kernels)" if part.kernels > 1 else operator


def groups_table(groups: Sequence[Group], heading: str) -> Table:
    """Groups of parts, the longest first."""
    from rich import box
    from rich.table import Table

    table = Table(title=f"by {heading}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column(heading, overflow="fold")
    for each in ("ms", "%", "kernels", "GFLOP"):
        table.add_column(each, justify="right", no_wrap=True)
    for group in groups:
        table.add_row(
            group.name,
            f"{group.ms:.3f}",
            f"{100 * group.share:.1f}",
            str(group.kernels),
            f"{group.flops / 1e9:.3f}",
        )
    return table
