"""A fused stream's figures on stdout: a table for people, JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mgdn_edge.runtime.errors import printable

if TYPE_CHECKING:
    from mgdn_edge.runtime.stream.result import Summary


def print_summary_json(summary: Summary) -> None:
    """One JSON object."""
    import msgspec

    print(msgspec.json.encode(summary).decode())


def print_table(summary: Summary) -> None:
    """What was written, how fast, and each stage's latency."""
    from rich.console import Console

    from mgdn_edge.runtime.stream.latency import latency_table

    counts = summary.frames
    interrupted = ", interrupted" if summary.interrupted else ""
    lost = f", {counts.lost} lost without a server" if counts.lost else ""
    print(
        f"{printable(summary.output)}: {counts.out} frames of {counts.in_} "
        f"({counts.dropped} dropped{lost}), {summary.fps:.1f} fps{interrupted}"
    )
    if summary.reconnects and any(summary.reconnects.values()):
        again = ", ".join(f"{name} {count}" for name, count in summary.reconnects.items() if count)
        print(f"connected again: {again}")
    if summary.drift is not None:
        from mgdn_edge.runtime.alignment.drift_figures import drift_sentence

        print(drift_sentence(summary.drift))
    for name, text in summary.execution.items():
        print(f"{name}: {text}")
    if summary.end_to_end is None:
        return
    if (pairing := summary.pairing) is not None and pairing.skew is not None:
        print(
            f"pairs by time ({pairing.policy}): {pairing.skew.p50:.1f} ms apart in the middle, "
            f"{pairing.skew.max:.1f} at most; {pairing.unpaired} frames without a partner"
        )
    title = ", ".join((summary.network, summary.backend, summary.variant, summary.precision))
    if summary.filter_implementation is not None:
        title = f"{title}, {summary.filter_implementation} filter"
    title = f"{title}, pace {summary.pace}"
    Console().print(latency_table({**summary.stages, "end_to_end": summary.end_to_end}, title))
