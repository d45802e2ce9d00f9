import re

import numpy as np
import pytest

from mgdn_edge.export.check_export import CheckReport, CheckRow
from mgdn_edge.export.check_report import (
    WorstFrame,
    check_verdict,
    draw_worst,
    write_check_report,
)
from mgdn_edge.export.node_parity import NodeParity
from mgdn_edge.runtime.quality.parity import Parity, measure_parity
from mgdn_edge.runtime.whole_file import Output

pytestmark = pytest.mark.export


def compare(kept, frame, got, wanted, tolerance=1.0):
    parity = measure_parity(got, wanted, data_range=255, tolerance=tolerance)
    row = CheckRow(frame, "models/dynamic.onnx", "onnxruntime-cpu", parity)
    kept.compare(row, got, wanted)
    return row


def test_the_frame_farthest_beyond_tolerance_is_kept_and_owned():
    kept = WorstFrame()
    wanted = np.zeros((20, 30), np.uint8)
    for frame, level in (("a", 1), ("b", 7), ("c", 3)):
        got = wanted.copy()
        got[4, 5] = level
        compare(kept, frame, got, wanted)
        got[...] = 255
    assert kept.worst.row.frame == "b"
    assert kept.worst.got[4, 5] == 7 and kept.worst.got.sum() == 7


def test_nan_is_worse_than_anything():
    kept = WorstFrame()
    bad = np.full((1, 3, 4, 4), np.nan, np.float32)
    parity = Parity(np.nan, np.nan, np.nan, np.nan, 1e-5, False)
    kept.compare(CheckRow("nan", "core.onnx", "x", parity), bad, np.zeros_like(bad))
    compare(kept, "far", np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8))
    assert kept.worst.row.frame == "nan"
    assert len(draw_worst(kept.worst)) == 3


def test_the_page_has_rows_nodes_and_the_worst_frame(tmp_path):
    kept = WorstFrame()
    wanted = np.zeros((16, 16), np.uint8)
    rows = [
        compare(kept, "one", wanted, wanted),
        compare(kept, "two <b>", wanted + np.uint8(9), wanted),
    ]
    nodes = (NodeParity("head/Conv", "head", 0.5, 0.1, 2.0, False),)
    report = CheckReport(tuple(rows), nodes, "head/Conv", False)
    path = tmp_path / "c.html"
    write_check_report(Output(path, "--report"), report, kept, "mgdn check x")
    page = path.read_text()
    assert (
        "1 of 2 comparisons differ" in page and "the first node that differs is head/Conv" in page
    )
    assert "two &lt;b&gt;" in page and "DIVERGES" in page and "FAILED, 1 allowed" in page
    assert page.count("data:image/jpeg") == 3
    assert re.search(r"torch</th><td>2\.", page)


def test_a_passing_check_says_so():
    row = CheckRow("f", "core.onnx", "x", Parity(0.0, 0.0, np.inf, 1.0, 1e-5, True))
    assert "2 comparisons within tolerance" in check_verdict(
        CheckReport((row, row), (), None, True)
    )
