"""What the page of an acceptance says: the verdict first, then everything that led to it."""

import json
import re

import msgspec
import numpy as np
import pytest
from accept_samples import sample_acceptance

from mgdn_edge.runtime.acceptance.report import judge
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.report.accept_report import AcceptanceFiles, draw_example


@pytest.fixture
def kept():
    return sample_acceptance()


def test_the_page_says_what_the_report_says(kept, tmp_path):
    AcceptanceFiles(tmp_path, []).keep(kept)
    text = (tmp_path / "accept.html").read_text()
    for words in (
        "NOT ACCEPTED: mgdn-edge on tensorrt; parity int8 640x480 failed", "&lt;off&gt;",
        "2 of 4 needed clauses passed", "not needed for acceptance", "needs engine int8 640x480",
        "The bundle states: en 6.81, data 25 pairs", "the GPU&#39;s clock", "0.061",
        "2 (MAXN)", "gpu-thermal 48 to 71", "oc1 3 times", "CUDA graph", "1 more without complaint",
        "their difference, 32 times", "900 frames without pause in 60 s", "ab" * 32, "board-7",
        "The bundle's gate on int8 for tensorrt: accepted",
        "Meanwhile, power mode: 2 (MAXN)",
    ):  # fmt: skip
        assert words in text, words
    assert not re.search("<script|https?:|@import", text)
    heading = text.index('<h1 class="flawed">NOT')
    assert heading < text.index("Clauses") < text.index("Latency") < text.index("Environment")
    sizes = re.findall(r'nowrap">(\d+x\d+) (\w+)', text)
    assert sizes[:4] == [
        ("640x480", "fp32"), ("640x480", "int8"), ("1280x720", "fp32"), ("1280x720", "int8"),
    ]  # fmt: skip
    assert json.loads((tmp_path / "accept.json").read_bytes())["verdict"] in text.replace(
        "\u00a0", " "
    ).replace("&lt;", "<").replace("&gt;", ">")


def test_a_page_with_nothing_measured_is_written(kept, tmp_path):
    bare = msgspec.structs.replace(
        kept.report, clauses=(), findings=(), parity=(), fidelity=(), timings=(), soak=None,
        stated_quality=None, complete=False,
    )  # fmt: skip
    empty = np.zeros(0, np.int64)
    AcceptanceFiles(tmp_path, []).keep(
        msgspec.structs.replace(kept, report=judge(bare), example=None, soak_ns=empty)
    )
    text = (tmp_path / "accept.html").read_text()
    assert "incomplete, interrupted" in text and "Soak" not in text and "Latency" not in text


def test_no_part_of_a_file_is_left_where_it_cannot_be_written(kept, tmp_path):
    folder = tmp_path / "out"
    files = AcceptanceFiles(folder, [])
    (folder / "accept.json").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot write .*accept\.json .*give --out"):
        files.keep(kept)
    assert [path.name for path in folder.iterdir()] == ["accept.json"]


def test_the_difference_is_amplified(kept):
    fused = np.full((8, 8), 100, np.uint8)
    example = msgspec.structs.replace(kept.example, fused=fused, reference=fused + 1)
    assert "largest: 1 levels" in draw_example(example)[-1].label
