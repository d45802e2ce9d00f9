"""What the page of an acceptance says: the verdict first, then everything that led to it."""

import json
import re

import msgspec
import numpy as np
import pytest
from support.accept_samples import sample_acceptance

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.acceptance.accept_result import judge
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
        "their difference, white where it is largest",
        "900 frames without pause in 60 s", "ab" * 32, "board-7",
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


def test_no_part_of_a_file_is_left_where_it_cannot_be_written(kept, tmp_path, fill_disk):
    folder = tmp_path / "out"
    fill_disk(".json")
    with pytest.raises(UserError, match=r"cannot write .*accept\.json \(No space.*give --out"):
        AcceptanceFiles(folder, []).keep(kept)
    assert list(folder.iterdir()) == []
    (folder / "accept.json").mkdir()
    with pytest.raises(UserError, match=r"--out .*accept\.json is a folder"):
        AcceptanceFiles(folder, [], overwrite=True)


def test_an_acceptance_there_is_stays_unless_it_may_be_replaced(kept, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "accept.html").write_text("theirs")
    with pytest.raises(UserError, match=r"accept\.html exists; pass --overwrite"):
        AcceptanceFiles(tmp_path, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accept.html", "notes.txt"]
    AcceptanceFiles(tmp_path, [], overwrite=True).keep(kept)
    assert "NOT ACCEPTED" in (tmp_path / "accept.html").read_text()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_bundle_is_never_the_report(kept, tmp_path, tiny_bundle):
    (tmp_path / "accept.json").symlink_to(tiny_bundle)
    with pytest.raises(UserError, match=r"would overwrite the input .*tiny\.mgdn"):
        AcceptanceFiles(tmp_path, [tiny_bundle], overwrite=True)


def test_a_disk_that_fills_up_costs_no_measurement(kept, tmp_path, fill_disk):
    files = AcceptanceFiles(tmp_path / "out", [])
    begun = msgspec.structs.replace(kept.report, clauses=())
    files.keep(msgspec.structs.replace(kept, report=begun))
    fill_disk(".json", ".html")
    files.keep(kept)
    with pytest.raises(UserError, match=r"cannot write .*accept\.json"):
        files.check()
    stored = json.loads((tmp_path / "out" / "accept.json").read_bytes())
    assert stored["clauses"] == []  # the latest that could be written, whole
    fill_disk(".html")
    files.keep(kept)
    with pytest.raises(UserError, match=r"accept\.json is written, but .*accept\.html"):
        files.check()
    fill_disk()
    files.keep(kept)
    files.check()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "accept.html", "accept.json",
    ]  # fmt: skip


def test_the_example_shows_the_difference(kept):
    fused = np.full((8, 8), 100, np.uint8)
    example = msgspec.structs.replace(kept.example, fused=fused, reference=fused + 2)
    assert draw_example(example)[-1].label == "difference x 128, at most 2 levels"
