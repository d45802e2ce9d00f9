"""What the page of a profile says, and where the roofline puts things."""

import math
import re

import pytest

from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.measure.profiling.profile import profile_network
from mgdn_edge.runtime.measure.profiling.profile_result import Group, PartFigures
from mgdn_edge.runtime.report.profile_report import (
    MOST_ROWS,
    group_bars,
    profile_verdict,
    write_profile_report,
)
from mgdn_edge.runtime.report.roofline_plot import plot_roofline
from mgdn_edge.runtime.whole_file import Output

CEILINGS = Ceilings(2, gbps=10.0, gflops=100.0, copy_mib=64)


def part(name, gflops, intensity, share=0.1, **changes):
    flops, ms = 10_000_000, 0.01 / gflops * 1000
    values = {
        "name": name, "module": "", "operator": "Conv", "how": "name", "is_layout": False,
        "ms": ms, "share": share, "kernels": 1, "nodes": (), "flops": flops,
        "bytes": round(flops / intensity), "roof_ms": ms, "of_roof": 1.0, "bound": "memory",
    }  # fmt: skip
    return PartFigures(**{**values, **changes})


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "profile.html"
    result = profile_network("mgdn-edge", size=(96, 128), frames=4)
    write_profile_report(Output(path, "--report"), result, "mgdn <profile>")
    return result.report, path.read_text()


def test_the_page_says_what_the_report_says(page):
    report, text = page
    for words in (
        "What to do first", "By module", "By operator", "Roofline", "Every part", "ceilings",
        "power mode", "energy a frame", "mgdn &lt;profile&gt;", "scaled by pixels",
        f"{report.account.measured_ms:.2f}", f"{report.ceilings.gbps:.1f} GB/s",
    ):  # fmt: skip
        assert words in text
    for sentence in report.advice:
        assert sentence.split(";")[0].replace("'", "&#39;") in text
    ranked = sorted(report.parts, key=lambda part: -part.ms)
    assert all(part.name in text for part in ranked[:MOST_ROWS])
    assert f"{len(ranked) - MOST_ROWS} shorter parts left out" in text
    assert not re.search("<script|https?:|@import", text)


def test_the_roof_bends_where_both_ceilings_meet():
    plot = plot_roofline([part("a", 100.0, 1.0), part("b", 1.0, 100.0)], CEILINGS)
    # axes from half the least to twice the most: 1..100 -> 0.5..200 on both
    assert plot.ridge == pytest.approx(100 * math.log(10 / 0.5) / math.log(200 / 0.5), abs=0.01)
    begin, bend, end = re.findall(r"[ML]([\d.]+) ([\d.]+)", plot.roof)
    assert float(bend[0]) == plot.ridge and bend[1] == end[1] and end[0] == "100"
    assert float(begin[1]) > float(bend[1])
    assert float(begin[0]) >= 0 and float(begin[1]) <= 100
    a, b = plot.dots
    assert float(bend[1]) == a.y and a.x < plot.ridge < b.x and b.y > a.y
    assert all(0 < value < 100 for dot in plot.dots for value in (dot.x, dot.y))
    assert [tick.label for tick in plot.y_ticks] == ["1", "10", "100"]


def test_near_dots_share_their_numbers_and_areas_are_shares():
    parts = [part("a", 50, 20, 0.4), part("b", 51, 20, 0.1), part("c", 1, 1, 0.0)]
    dots = plot_roofline(parts, CEILINGS).dots
    assert [dot.label for dot in dots] == ["1, 2", "", "3"]
    assert dots[0].size == 2 * dots[1].size and dots[2].size > 0


def test_kernels_without_arithmetic_or_a_ceiling_are_not_placed():
    copies = part("copy", 1.0, 1.0, flops=0)
    assert plot_roofline([copies], CEILINGS) is None
    assert plot_roofline([part("a", 1.0, 1.0)], Ceilings(2, 10.0, None, 64)) is None
    plot = plot_roofline([copies, part("a", 1.0, 1.0), part("v", 1, 1, bytes=None)], CEILINGS)
    assert [dot.label for dot in plot.dots] == ["2"]


def test_narrow_axes_have_ticks_too():
    plot = plot_roofline([part("a", 95.0, 10.0)], CEILINGS)
    assert len(plot.x_ticks) >= 2 and len(plot.y_ticks) >= 2


def groups(count):
    return [Group(f"g{i}", 10.0 - i / 10, 0.01, 1, 0) for i in range(count)]


@pytest.mark.parametrize(("count", "last"), [(3, "g2"), (11, "g10"), (12, "2 others")])
def test_bars_keep_the_longest_and_sum_the_rest(count, last):
    bars = group_bars(groups(count))
    assert max(bar.p50 for bar in bars) == 100
    assert (bars[0].label, bars[-1].label) == ("g0", last)
    assert len(bars) == min(count, 11)


def test_the_verdict_says_when_the_sum_is_off(page):
    import msgspec

    report, _ = page
    account = msgspec.structs.replace(report.account, of_measured=1.0)
    sound = profile_verdict(msgspec.structs.replace(report, account=account))
    account = msgspec.structs.replace(report.account, of_measured=1.2)
    off = profile_verdict(msgspec.structs.replace(report, account=account))
    assert "adds up to 120 %" in off and "adds up" not in sound
