"""advise: a profile -> three plain sentences on what to do first.

The first always names the costliest part and what bounds it. The others are the findings that
concern the most milliseconds, each from one rule below; where fewer apply, the next part and what
the machine's ceilings leave to gain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mgdn_edge.plugins.native import HOW_TO_BUILD, find_library
from mgdn_edge.runtime.bundle.export_record import DYNAMIC_VARIANT
from mgdn_edge.runtime.machine.conditions import throttled
from mgdn_edge.runtime.measure.profiling.profile_result import (
    PartFigures,
    ProfileReport,
    group_parts,
)

SENTENCES = 3
# Shares of a frame above which a finding is worth a sentence: below a tenth, doing all of it
# perfectly saves less than runs differ by.
WORTH_SAYING = 0.10
UNSTEADY = 1.5  # 95th percentile over median: a quiet machine stays below 1.2
ARITHMETIC_OPERATORS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
MIB = 1 << 20


class Advice(NamedTuple):
    """``ms`` of a frame that a sentence is about; more comes earlier."""

    ms: float
    sentence: str


def advise(report: ProfileReport) -> list[str]:
    """Three sentences: the top cost, then the findings that concern most of the frame."""
    if not report.parts:
        return ["The runtime reported no kernels, so there is nothing to advise."]
    ranked = sorted(report.parts, key=lambda part: -part.ms)
    found = [finding for rule in RULES if (finding := rule(report)) is not None]
    found.sort(key=lambda finding: -finding.ms)
    sentences = [top_cost(report), *(finding.sentence for finding in found)]
    if len(sentences) < SENTENCES and len(ranked) > 1:
        sentences.append(next_cost(ranked[1]))
    if len(sentences) < SENTENCES:
        sentences.append(left_to_gain(report))
    return sentences[:SENTENCES]


def top_cost(report: ProfileReport) -> str:
    """Which part takes longest, which operator, and what would make it faster."""
    top = max(report.parts, key=lambda part: part.ms)
    alike = next(group for group in report.operators if group.name == top.operator)
    text = f"The top cost is {_named(top)}: {_spent(top.ms, top.share)}"
    if alike.ms > 1.05 * top.ms:
        text += f" (all {top.operator} together {_spent(alike.ms, alike.share)})"
    return f"{text}; {_remedy(top, report)}."


def next_cost(part: PartFigures) -> str:
    """The part after the top one."""
    return f"Next comes {_named(part)} with {_spent(part.ms, part.share)}."


def left_to_gain(report: ProfileReport) -> str:
    """What the ceilings mean for the whole frame."""
    roof = sum(part.roof_ms for part in report.parts)
    spent = report.account.kernels_ms
    if roof <= 0:
        return "Nothing is known of this network's bytes and arithmetic, so no limit can be given."
    return (
        f"At this machine's measured ceilings the same kernels would need {roof:.1f} of their "
        f"{spent:.1f} ms, so better kernels alone gain at most {max(1.0, spent / roof):.1f} times; "
        "beyond that the network has to shrink."
    )


def no_native_filter(report: ProfileReport) -> Advice | None:
    """Function bodies ran where one native operation could."""
    if report.filter_implementation != "function body":
        return None
    bodies = [part for part in report.parts if part.kernels > 1 and part.how == "order"]
    ms, share = _sum(bodies)
    if not bodies:
        return None
    kernels = sum(part.kernels for part in bodies)
    how = HOW_TO_BUILD if find_library() is None else "it is installed: leave out --filter body"
    return Advice(
        ms,
        f"The native operations are not used: function bodies of {kernels} standard kernels take "
        f"{_spent(ms, share)}; {how}.",
    )


def padding_of_dynamic_sizes(report: ProfileReport) -> Advice | None:
    """What a dynamic variant computes from the frame's size, and the frame padded and cropped."""
    found = [part for part in report.parts if part.how == "unknown"]
    ms, share = _sum(found)
    if report.variant != DYNAMIC_VARIANT or share < WORTH_SAYING:
        return None
    worst = max(found, key=lambda part: part.ms)
    return Advice(
        ms,
        f"{len(found)} kernels only fit frames of any size to the network (the longest is "
        f"{worst.operator}): {_spent(ms, share)}; a static variant has none of them: "
        f"mgdn export --size {report.size}.",
    )


def changes_of_layout(report: ProfileReport) -> Advice | None:
    """Reorders, reformats and transposes are pure overhead."""
    moved = [part for part in report.parts if part.is_layout]
    ms, share = _sum(moved)
    if share < WORTH_SAYING:
        return None
    kinds = ", ".join(group.name for group in group_parts(moved, lambda part: part.operator))
    worst = max(moved, key=lambda part: part.ms)
    where = f", most of it at {worst.module}" if worst.module else ""
    return Advice(
        ms,
        f"{len(moved)} kernels only change the layout of tensors ({kinds}): {_spent(ms, share)}"
        f"{where}; keep neighbouring layers in one layout (convolutions with channels in "
        "multiples of 8, no transposes between them).",
    )


def memory_bound(report: ProfileReport) -> Advice | None:
    """Kernels other than convolutions and products that do little but move tensors."""
    moving = [
        part
        for part in report.parts
        if part.bound == "memory"
        and not part.is_layout
        and part.operator not in ARITHMETIC_OPERATORS
        and part.kernels == 1
        and part.how != "unknown"
    ]
    ms, share = _sum(moving)
    if share < WORTH_SAYING or len(moving) < 2:
        return None
    kinds = ", ".join(g.name for g in group_parts(moving, lambda part: part.operator)[:4])
    mib = sum(part.bytes or 0 for part in moving) / MIB
    return Advice(
        ms,
        f"{len(moving)} kernels mostly move tensors ({kinds}): {mib:.0f} MiB in "
        f"{_spent(ms, share)}; fusing neighbours or halving the precision "
        "shortens them.",
    )


def between_kernels(report: ProfileReport) -> Advice | None:
    """The executor's own time, a price of many small kernels."""
    ms = report.account.between_ms
    share = ms / max(report.account.sum_ms, ms, 1e-6)
    if share < WORTH_SAYING:
        return None
    kernels = sum(part.kernels for part in report.parts)
    return Advice(
        ms,
        f"{_spent(ms, share)} pass between {kernels} kernels and not in them; fewer, larger "
        "kernels are what helps.",
    )


def copies(report: ProfileReport) -> Advice | None:
    """Frames copied into and out of the session."""
    fuse = report.stages["fuse"].p50
    ms = sum(report.stages[name].p50 for name in ("copy_in", "copy_out"))
    if ms < WORTH_SAYING * fuse:
        return None
    return Advice(
        ms,
        f"Copying frames in and out takes {_spent(ms, ms / fuse)}; write into the slots that "
        "Session.acquire() gives and read slot.fused in place.",
    )


def idle_cpus(report: ProfileReport) -> Advice | None:
    """Fewer threads than CPUs."""
    unused = report.usable_cpus - report.threads
    if unused < 1:
        return None
    ms = report.account.kernels_ms * unused / report.usable_cpus
    return Advice(
        ms,
        f"Only {report.threads} of {report.usable_cpus} usable CPUs work on a frame; try "
        f"--threads {report.usable_cpus}.",
    )


def slowed_machine(report: ProfileReport) -> Advice | None:
    """Throttling, a governor that holds clocks down, or other work on the machine."""
    before, after = report.conditions
    events = throttled(before, after)
    reasons = [reason for gpu in after.gpus for reason in gpu.throttle_reasons]
    frame = report.account.measured_ms
    if events or reasons:
        text = [*(f"{name} {count} times" for name, count in events.items()), *reasons]
        return Advice(
            frame,
            f"The machine throttled during the run ({', '.join(text)}), so every figure here "
            "is too high; improve cooling or supply, then profile again.",
        )
    slow = {c.governor for c in after.clocks if c.governor in ("powersave", "conservative")}
    low = [c for c in after.clocks if c.max_mhz and c.mhz < 0.8 * c.max_mhz]
    if slow and low:
        return Advice(
            frame / 2,
            f"The {'/'.join(sorted(slow))} governor holds {low[0].name} at {low[0].mhz:.0f} of "
            f"{low[0].max_mhz:.0f} MHz; on a Jetson sudo jetson_clocks, elsewhere "
            "sudo cpupower frequency-set -g performance.",
        )
    infer = report.stages["infer"]
    if infer.p95 > UNSTEADY * infer.p50:
        return Advice(
            infer.p95 - infer.p50,
            f"Frames differ: 95 % within {infer.p95:.1f} ms but half within {infer.p50:.1f}; other "
            "work runs on this machine, so stop it before comparing figures.",
        )
    return None


RULES: tuple[Callable[[ProfileReport], Advice | None], ...] = (
    no_native_filter,
    padding_of_dynamic_sizes,
    changes_of_layout,
    memory_bound,
    between_kernels,
    copies,
    idle_cpus,
    slowed_machine,
)


def _remedy(part: PartFigures, report: ProfileReport) -> str:
    """What bounds a part, in words, and what shortens such a part."""
    ceilings, roof = report.ceilings, 100 * part.of_roof
    if part.kernels > 1 and report.filter_implementation == "function body":
        return f"it runs as the {part.kernels} standard kernels of its function body, not natively"
    if part.is_layout:
        return "it computes nothing, it only changes the layout of a tensor"
    if part.bound == "arithmetic":
        return (
            f"its arithmetic is the limit ({part.gflops:.0f} GFLOP/s, {roof:.0f} % of the "
            f"machine's {ceilings.gflops:.0f}), so only less of it helps: fewer channels, fewer "
            "pixels or INT8"
        )
    if part.bound == "memory":
        return (
            f"moving its tensors is the limit ({part.gbps or 0:.1f} GB/s, {roof:.0f} % of the "
            f"machine's {ceilings.gbps:.1f}), so only fewer bytes help: fusion, fewer channels or "
            "half precision"
        )
    if part.bound == "neither":
        return (
            f"it reaches {roof:.0f} % of what memory and arithmetic allow here ({part.roof_ms:.2f} "
            "ms), so a better kernel could pay: look at its shape, threads and vector width"
        )
    return "its bytes and arithmetic are unknown"


def _named(part: PartFigures) -> str:
    return f"{part.name} ({part.operator})" if part.operator not in part.name else part.name


def _spent(ms: float, share: float) -> str:
    return (
        f"{ms:.2f} ms, {100 * share:.0f} % of the frame"
        if ms < 10
        else (f"{ms:.1f} ms, {100 * share:.0f} % of the frame")
    )


def _sum(parts: list[PartFigures]) -> tuple[float, float]:
    return sum(part.ms for part in parts), sum(part.share for part in parts)
