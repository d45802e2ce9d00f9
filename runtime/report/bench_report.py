"""What `mgdn bench --report` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mgdn_edge.runtime.machine.conditions import describe_conditions
from mgdn_edge.runtime.machine.environment import describe_environment
from mgdn_edge.runtime.report.document import write_document
from mgdn_edge.runtime.report.pictures import encode_picture
from mgdn_edge.runtime.report.plots import draw_bars, plot_frames
from mgdn_edge.runtime.whole_file import Output

if TYPE_CHECKING:
    from mgdn_edge.runtime.measure.bench_result import BenchReport, BenchResult, NetworkFigures


def write_bench_report(output: Output, result: BenchResult, command: str) -> None:
    """What bench_networks measured -> an HTML file that states ``command``."""
    report, times_ns, pair = result.report, result.times_ns, result.pair
    names = label_networks(report.networks)
    numbers = np.arange(times_ns.shape[1])
    none = np.zeros(0, np.int64)
    plots = [
        plot_frames(row, numbers, none, {"95 % within": each.fuse.p95}, name)
        for row, each, name in zip(times_ns, report.networks, names, strict=True)
    ]
    figures = {name: each.fuse for name, each in zip(names, report.networks, strict=True)}
    pictures = [
        encode_picture(pair[0], "visible", "a drawn scene as a visible camera sees it"),
        encode_picture(pair[1], "infrared", "the same scene in infrared"),
        *(
            encode_picture(plane, f"fused by {name}", f"what {name} makes of the two")
            for plane, name in zip(result.fused, names, strict=True)
        ),
    ]
    write_document(
        output,
        "bench.html",
        verdict=bench_verdict(report, names),
        flawed=False,
        report=report,
        rows=list(zip(names, report.networks, plots, strict=True)),
        bars=draw_bars(figures, {}),
        pictures=pictures,
        environment=describe_environment(
            report.versions,
            {
                "frame size": report.size,
                "threads": "every usable CPU" if report.threads is None else str(report.threads),
                **{
                    f"{name}: {fact}": text
                    for name, each in zip(names, report.networks, strict=True)
                    for fact, text in each.execution.items()
                },
                **describe_conditions(*report.conditions),
            },
        ),
        command=command,
    )


def bench_verdict(report: BenchReport, names: list[str]) -> str:
    """One plain sentence: the first network's time, and the others beside it."""
    first = report.networks[0].fuse
    rate = 1000 / first.p50
    parts = [
        f"{names[0]} fuses a {report.size} frame in {first.p50:.1f} ms ({rate:.0f} per second), "
        f"95 % within {first.p95:.1f} ms"
    ]
    others = zip(names[1:], report.networks[1:], strict=True)
    parts += [f"{name} takes {each.ratio:.2f} times as long" for name, each in others]
    return f"{'; '.join(parts)}."


def label_networks(networks: list[NetworkFigures]) -> list[str]:
    """Each network's name, with what sets it apart where two have the same."""
    labels = []
    for each in networks:
        alike = [other for other in networks if other.network == each.network]
        traits = ("backend", "variant", "precision", "filter_implementation")
        differing = [t for t in traits if len({getattr(other, t) for other in alike}) > 1]
        text = ", ".join(str(getattr(each, trait)) for trait in differing)
        labels.append(f"{each.network} ({text})" if text else each.network)
    return [
        f"{label}, run {labels[: index + 1].count(label)}" if labels.count(label) > 1 else label
        for index, label in enumerate(labels)
    ]
