"""What `mgdn profile --report` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mgdn_edge.runtime.machine.environment import describe_environment
from mgdn_edge.runtime.measure.profiling.profile_words import (
    UNBALANCED,
    describe_profiled_run,
    profile_lines,
)
from mgdn_edge.runtime.report.document import write_document
from mgdn_edge.runtime.report.plots import Bar, plot_frames
from mgdn_edge.runtime.report.roofline_plot import plot_roofline
from mgdn_edge.runtime.whole_file import Output

if TYPE_CHECKING:
    from mgdn_edge.runtime.measure.profiling.profile_result import (
        Group,
        ProfileReport,
        ProfileResult,
    )

MOST_BARS = 10
MOST_ROWS = 40  # parts in the table: what is shorter is in the JSON


def write_profile_report(output: Output, result: ProfileResult, command: str) -> None:
    """What profile_network found -> an HTML file that states ``command``."""
    report, times_ns = result.report, result.frame_ns
    ranked = sorted(report.parts, key=lambda part: -part.ms)
    infer = report.stages["infer"]
    marks = {"95 % within": infer.p95, "half within": infer.p50}
    none = np.zeros(0, np.int64)
    write_document(
        output,
        "profile.html",
        verdict=profile_verdict(report),
        flawed=not report.account.is_balanced,
        report=report,
        account=report.account,
        lines=profile_lines(report),
        parts=ranked[:MOST_ROWS],
        hidden=len(ranked) - len(ranked[:MOST_ROWS]),
        modules=group_bars(report.modules),
        operators=group_bars(report.operators),
        roofline=plot_roofline(ranked, report.ceilings),
        plot=plot_frames(times_ns, np.arange(len(times_ns)), none, marks, "unprofiled frames"),
        environment=describe_environment(
            report.versions,
            {
                "network": report.network,
                "backend": report.backend,
                "variant": report.variant,
                "precision": report.precision,
                "filter": report.filter_implementation,
                "frame size": report.size,
                "threads": str(report.threads),
                **describe_profiled_run(report),
            },
        ),
        command=command,
    )


def profile_verdict(report: ProfileReport) -> str:
    """One plain sentence: how long a frame takes and what takes most of it."""
    account, top = report.account, max(report.parts, key=lambda part: part.ms)
    whose = f"all {report.operators[0].name} {100 * report.operators[0].share:.0f} %"
    text = (
        f"{report.network} takes {account.measured_ms:.1f} ms for a {report.size} frame; "
        f"{top.name} takes {100 * top.share:.0f} % of it, {whose}."
    )
    if not account.is_balanced:
        text += f" {UNBALANCED.format(100 * account.of_measured)}"
    return text


def group_bars(groups: Sequence[Group]) -> list[Bar]:
    """The longest groups as bars, the rest as one; in percent of the longest."""
    fits = len(groups) <= MOST_BARS + 1  # one other takes the place of its own bar
    shown = groups if fits else groups[:MOST_BARS]
    rest = groups[len(shown) :]
    figures = [(group.name, group.ms, group.share) for group in shown]
    if rest:
        name = f"{len(rest)} others"
        figures.append((name, sum(g.ms for g in rest), sum(g.share for g in rest)))
    widest = max((ms for _, ms, _ in figures), default=0.0) or 1.0
    return [
        Bar(name, round(100 * ms / widest, 2), 0.0, f"{ms:.2f} ms, {100 * share:.0f} %", False)
        for name, ms, share in figures
    ]
