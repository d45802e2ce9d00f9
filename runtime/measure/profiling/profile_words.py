"""A profile in words: the lines above its tables, and the machine it holds for."""

from __future__ import annotations

from mgdn_edge.runtime.machine.conditions import describe_conditions
from mgdn_edge.runtime.measure.profiling.profile_result import ProfileReport

UNBALANCED = (
    "The profile adds up to {:.0f} % of the measured time: other work ran, so read shares and not "
    "milliseconds."
)


def profile_lines(report: ProfileReport) -> list[str]:
    """The account, and the ledger's stages with the network's share of them, as lines."""
    account, stages = report.account, report.stages
    inside = ", ".join(f"{name} {ms:.2f}" for name, ms in report.inside.items())
    copied = f"copy in {stages['copy_in'].p50:.2f}, infer {stages['infer'].p50:.2f}"
    handed = stages["infer_wait"].p50 + stages["writer_wait"].p50
    lines = [
        account.sentence(),
        f"fuse {stages['fuse'].p50:.2f} ms = {copied}, copy out {stages['copy_out'].p50:.2f}, "
        f"handing over {handed:.2f} (medians); inside infer: {inside}",
    ]
    if not account.is_balanced:
        lines.append(UNBALANCED.format(100 * account.of_measured))
    if account.unknown_share:
        lines.append(
            f"{100 * account.unknown_share:.1f} % of the kernels' time could be joined to no node"
        )
    return lines


def describe_profiled_run(report: ProfileReport) -> dict[str, str]:
    """(name, text) rows of machine and conditions, each name always."""
    energy = report.energy
    per_frame = "not readable here"
    if energy is not None:
        # Each frame is fused twice, plain and profiled.
        joules = energy.total / (2 * report.frames)
        per_frame = f"{1000 * joules:.1f} mJ ({energy.total_of}, idle power included)"
    return {
        "ceilings": report.ceilings.sentence(),
        **describe_conditions(*report.conditions),
        "energy a frame": per_frame,
    }
