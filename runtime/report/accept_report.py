"""What `mgdn accept` leaves to look at and to send back."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.conditions import describe_conditions
from mgdn_edge.runtime.machine.environment import describe_environment
from mgdn_edge.runtime.measure.acceptance.accept_result import (
    AcceptReport,
    AcceptResult,
    Example,
    SubjectParity,
    Timing,
)
from mgdn_edge.runtime.report.document import render_document
from mgdn_edge.runtime.report.pictures import Picture, encode_picture, picture_difference
from mgdn_edge.runtime.report.plots import plot_frames
from mgdn_edge.runtime.whole_file import Output, Outputs, Overwrite, RunFile, beside

REPORT_FILE, PAGE_FILE = "accept.json", "accept.html"


def choose_folder(out: Path | None) -> Path:
    """``out``, else accept-HOST-DATE here."""
    host = re.sub(r"[^A-Za-z0-9._-]+", "-", platform.node()).strip("-.") or "machine"
    return out or Path(f"accept-{host}-{datetime.now():%Y%m%d-%H%M%S}")


class AcceptanceFiles:
    """REPORT_FILE and PAGE_FILE of one acceptance in ``folder``, which ``keep`` makes."""

    def __init__(self, folder: Path, inputs: Sequence[Path], overwrite: Overwrite = False) -> None:
        """Claim both; UserError where one is there already and stays."""
        self._folder = folder
        outputs = Outputs(inputs, overwrite)
        paths = [folder / name for name in (REPORT_FILE, PAGE_FILE)]
        self._report, self._page = (
            RunFile(outputs.claim(path, "--out") if folder.is_dir() else Output(path, "--out"))
            for path in paths
        )

    def keep(self, kept: AcceptResult) -> None:
        """Write both as they are now; UserError where the report cannot be for the first time.

        Nothing has been measured then. Other failures wait for ``check``, so that a disk that
        fills up costs no measurement.
        """
        text = msgspec.json.format(msgspec.json.encode(kept.report), indent=1) + b"\n"
        if self._report.written:
            self._report.try_write(text)
        else:
            self._make_folder()
            self._report.write(text)
        self._page.try_write(render_acceptance(kept))

    def check(self) -> None:
        """Raise EndedEarlyError where the latest state of either could not be written."""
        with beside():
            self._report.check()
        with beside(self._report.output.path):
            self._page.check()

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write into {self._folder}: {error.strerror}; give another --out"
            ) from error


def render_acceptance(kept: AcceptResult) -> bytes:
    """The page of a report, as far as it is."""
    report = kept.report
    soak, plot = report.soak, None
    if soak is not None and len(kept.soak_ns):
        numbers, none = np.arange(len(kept.soak_ns)), np.zeros(0, np.int64)
        p95 = float(np.percentile(kept.soak_ns, 95) / 1e6)
        plot = plot_frames(kept.soak_ns, numbers, none, {"95 % within": p95}, "frames of the soak")
    return render_document(
        "accept.html",
        verdict=report.verdict,
        flawed=not report.accepted,
        report=report,
        base=[timing for timing in report.timings if timing.size == "640x480"],
        meanwhile=describe_meanwhile(report.timings),
        timings=sorted(report.timings, key=_pixels),
        parity=sorted(report.parity, key=_pixels),
        plot=plot,
        pictures=draw_example(kept.example) if kept.example is not None else [],
        environment=describe_environment(report.versions, describe_acceptance(report)),
        command=report.command,
    )


def describe_acceptance(report: AcceptReport) -> dict[str, str | None]:
    """(name, text) of what was accepted and under which conditions."""
    facts: dict[str, str | None] = {
        "bundle": f"{report.network}, sha256 {report.bundle_sha256}",
        "backend": report.backend,
        "host": report.host,
        "begun": report.made,
    }
    for timing in report.timings[-1:]:
        facts |= timing.execution
    stretches = [timing.conditions for timing in report.timings]
    if report.soak is not None:
        stretches.append(report.soak.conditions)
    if stretches:
        facts |= describe_conditions(stretches[0][0], stretches[-1][1])
    return facts


def describe_meanwhile(timings: Sequence[Timing]) -> str:
    """Power mode, clocks, heat and throttling from before the first timing to after the last."""
    if not timings:
        return ""
    described = describe_conditions(timings[0].conditions[0], timings[-1].conditions[1])
    return "; ".join(f"{name}: {text}" for name, text in described.items())


def draw_example(example: Example) -> list[Picture]:
    """What both cameras saw, what was made of it here and by the reference, and the difference."""
    of = f"fused in {example.precision}"
    return [
        encode_picture(example.visible, "visible", "a drawn street at night, visible camera"),
        encode_picture(example.infrared, "infrared", "the same street, infrared camera"),
        encode_picture(example.fused, f"{of}, here", "what this machine makes of the two"),
        encode_picture(example.reference, "fused by the reference", "what it should be"),
        picture_difference(example.fused, example.reference, "their difference"),
    ]


def _pixels(row: Timing | SubjectParity) -> int:
    width, height = row.size.split("x")
    return int(width) * int(height)
