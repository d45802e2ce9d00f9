"""What `mgdn check --report` shows: parities, nodes, and where the worst frame differs."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mgdn_edge.export.check_export import CheckReport, CheckRow
from mgdn_edge.runtime.machine.environment import describe_environment
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.report.document import write_document
from mgdn_edge.runtime.report.pictures import LEVELS, Picture, encode_picture, picture_difference
from mgdn_edge.runtime.whole_file import Output

Array = npt.NDArray[np.generic]


class Worst(NamedTuple):
    """One comparison's outputs, kept whole."""

    row: CheckRow
    got: Array
    wanted: Array


class WorstFrame:
    """Keeps the outputs of the comparison closest to its tolerance, or farthest beyond it."""

    def __init__(self) -> None:
        self.worst: Worst | None = None

    def compare(self, row: CheckRow, got: Array, wanted: Array) -> None:
        """(..., H, W) outputs of one graph and of torch; NaN counts as the worst there is."""
        if self.worst is None or _severity(row) > _severity(self.worst.row):
            self.worst = Worst(row, got.copy(), wanted.copy())


def write_check_report(output: Output, report: CheckReport, kept: WorstFrame, command: str) -> None:
    """All rows, the nodes where there are some, and the worst frame's pictures."""
    worst = kept.worst
    write_document(
        output,
        "check.html",
        verdict=check_verdict(report),
        flawed=not report.passed,
        report=report,
        worst=worst.row if worst else None,
        pictures=draw_worst(worst) if worst else [],
        environment=describe_environment({**installed_versions(), **export_versions()}, {}),
        command=command,
    )


def check_verdict(report: CheckReport) -> str:
    """One plain sentence: how many comparisons passed, or where the first graph parts."""
    failed = [row for row in report.rows if not row.parity.passed]
    count = len(report.rows)
    if not failed:
        return f"Every graph computes what torch computes: {count} comparisons within tolerance."
    text = f"{len(failed)} of {count} comparisons differ by more than is allowed"
    if report.first_diverging:
        text = f"{text}; the first node that differs is {report.first_diverging}"
    return f"{text}."


def draw_worst(worst: Worst) -> list[Picture]:
    """Torch, the graph, and their difference."""
    got, wanted = (_grey(image, worst.row) for image in (worst.got, worst.wanted))
    frame = worst.row.frame
    return [
        encode_picture(_levels(wanted), "torch", f"torch's output for {frame}"),
        encode_picture(_levels(got), worst.row.graph, f"the graph's output for {frame}"),
        picture_difference(got, wanted, "their difference"),
    ]


def export_versions() -> dict[str, str]:
    """Versions of what the torch side depends on."""
    import onnx
    import torch

    return {"torch": torch.__version__, "onnx": onnx.__version__}


def _severity(row: CheckRow) -> float:
    error = row.parity.max_error
    return np.inf if np.isnan(error) else error / (row.parity.tolerance or 1.0)


def _grey(image: Array, row: CheckRow) -> npt.NDArray[np.float64]:
    """(..., H, W) of 0..255 uint8 or 0..1 float -> (H, W) float64 levels, mean over channels."""
    scale = 1.0 if image.dtype == np.uint8 else float(LEVELS)
    planes = image.astype(np.float64).reshape(-1, *image.shape[-2:])
    grey: npt.NDArray[np.float64] = planes.mean(axis=0) * scale
    return grey


def _levels(image: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    clipped: npt.NDArray[np.uint8] = np.clip(np.nan_to_num(image), 0, LEVELS).astype(np.uint8)
    return clipped
