"""The files beside a fused recording: its page and its trace, claimed first, written last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.report.fuse_report import write_fuse_report
from mgdn_edge.runtime.stream.frame_trace import write_trace
from mgdn_edge.runtime.stream.result import FuseResult
from mgdn_edge.runtime.whole_file import Output, Outputs


@dataclass(frozen=True)
class SideFiles:
    """``page`` and ``trace`` as claimed, None where not asked for."""

    page: Output | None
    trace: Output | None

    @classmethod
    def claim(cls, outputs: Outputs, page: Path | None, trace: Path | None) -> SideFiles:
        """Claim both before the stream begins; raises UserError."""
        return cls(
            None if page is None else outputs.claim(page, "--report", ".html"),
            None if trace is None else outputs.claim(trace, "--trace", ".json"),
        )

    def write(self, result: FuseResult, command: str) -> None:
        """Write both; ``command`` is what the page says was typed.

        One that fails does not take the other, nor the recording: EndedEarlyError comes at the end.
        """
        failures, summary = list(result.failures), result.summary
        if self.trace is not None:
            with _noting(failures):
                names = {"network": summary.network, "backend": summary.backend}
                write_trace(self.trace, result.ledger, names)
        if self.page is not None:
            with _noting(failures):
                write_fuse_report(self.page, result, command)
        if failures:
            failures.append(f"{summary.output} is there, with {summary.frames.out} frames")
            raise EndedEarlyError("; ".join(failures), summary)


@contextmanager
def _noting(failures: list[str]) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        failures.append(str(error))
