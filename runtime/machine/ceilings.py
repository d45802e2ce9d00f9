"""Ceilings: what a machine's memory and arithmetic give at most, as measured."""

from __future__ import annotations

import msgspec


class Ceilings(msgspec.Struct, frozen=True):
    """The best of several runs on ``threads`` threads, in GB/s and GFLOP/s (1e9).

    ``gflops`` is None where ONNX Runtime is not installed. ``copy_mib`` is the size of each array.
    """

    threads: int
    gbps: float
    gflops: float | None
    copy_mib: int

    @property
    def ridge(self) -> float | None:
        """FLOP a byte above which arithmetic is the limit."""
        return None if self.gflops is None else self.gflops / self.gbps

    def sentence(self) -> str:
        """Both in one line."""
        gflops = "no ONNX Runtime to measure arithmetic with"
        if self.gflops is not None:
            gflops = f"{self.gflops:.0f} GFLOP/s (float32 matrix product)"
        return (
            f"{self.gbps:.1f} GB/s (copy of {self.copy_mib} MiB, read and written), {gflops}, "
            f"on {self.threads} {'thread' if self.threads == 1 else 'threads'}"
        )
