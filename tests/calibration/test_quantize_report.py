"""The page: every part there, names escaped, drawings inside their boxes."""

import re

import msgspec
import numpy as np
import pytest

from mgdn_edge.calibration.clip_points import ClipPoints
from mgdn_edge.calibration.histogram import Histogram
from mgdn_edge.calibration.plots import draw_losses, plot_pareto, plot_range
from mgdn_edge.calibration.precision_search import SearchPoint, SearchResult
from mgdn_edge.calibration.quantize import QuantizeOptions, quantize_bundle
from mgdn_edge.calibration.quantize_report import quantize_headline, write_quantize_report
from mgdn_edge.calibration.sensitivity import UnitLoss
from mgdn_edge.runtime.quality.precision_verdict import QualityFigures, SpeedFigures
from mgdn_edge.runtime.whole_file import Output


def counted(values):
    histogram = Histogram()
    histogram.add(np.asarray(values, np.float32))
    return histogram.finish()


def coordinates(path):
    return np.array(re.findall(r"[-\d.e]+", path), float).reshape(-1, 2)


@pytest.mark.parametrize(
    "values", [np.linspace(-3, 2, 5000), [1.0], [0.0], np.r_[np.zeros(900), 7.5]]
)
def test_a_range_is_drawn_inside_its_box(values):
    found = counted(values)
    plot = plot_range("a", found, ClipPoints(min(0, found.low / 2), max(0.0, found.high / 2)))
    points = coordinates(plot.path)
    assert np.isfinite(points).all() and (points >= -0.01).all() and (points <= 100.01).all()
    assert 0 <= plot.low <= plot.high <= 100


def test_the_clipped_share_is_said():
    found = counted(np.linspace(0, 100, 10001))
    assert plot_range("a", found, ClipPoints(0, 90)).text == "0 to 100, kept 0 to 90, 10.01% beyond"
    assert "beyond" not in plot_range("a", found, ClipPoints(0, 100)).text


def point(psnr, kept, p50=None):
    quality = QualityFigures(4, psnr, psnr, "x", 0.99, 0.98, 0.0, {})
    speed = p50 and SpeedFigures("x", "m", "640x480", 9, 20.0, p50, p50, p50 / 20)
    return SearchPoint(f"{kept} kept", tuple("abc"[:kept]), quality, speed, ())


def test_the_front_leaves_dominated_points_out():
    points = (point(45, 0, 8.0), point(44, 1, 10.0), point(100, 3, 20.0))
    plot = plot_pareto(SearchResult("", (), points, 0))
    assert [dot.chosen for dot in plot.dots] == [True, False, False]
    assert len(coordinates(plot.path)) == 2
    assert plot.left == "8 ms" and plot.top == "equal" and plot.bottom == "44.0 dB"


def test_untimed_points_are_drawn_over_layers_and_one_point_is_enough():
    plot = plot_pareto(SearchResult("", (), (point(50, 0),), 0))
    assert plot.x_axis == "layers kept float" and len(plot.dots) == 1


def test_losses_say_what_was_measured():
    losses = [
        UnitLoss("a", ("a",), 46.0, 0.99, 1.25),
        UnitLoss("b", ("b",), 52.0, 0.995, -0.5),
        UnitLoss("c", ("c",), 52.0, 0.995, None),
    ]
    bars = draw_losses(losses)
    assert bars[0].width == 100 and bars[1].width == pytest.approx(50, abs=0.2)
    assert [bar.text.rpartition(", ")[2] for bar in bars] == [
        "saves 1.25 ms", "0.50 ms slower", "time not measured",
    ]  # fmt: skip


def test_the_page_has_every_part(edge_bundle, street_folder, held_folder, tmp_path):
    options = QuantizeOptions(
        held_out=(str(held_folder),), targets=("cpu",), turns=1, sensitivity=True
    )
    result = quantize_bundle(edge_bundle, str(street_folder), tmp_path / "a.mgdn", options)
    first = result.results[0]
    worst = msgspec.structs.replace(first.worst[0].quality, name="<b>frame</b>")
    kept = [first.worst[0]._replace(quality=worst), *first.worst[1:]]
    changed = result._replace(results=[first._replace(worst=kept), *result.results[1:]])
    write_quantize_report(Output(tmp_path / "page.html", "--report"), changed, "mgdn quantize x")
    page = (tmp_path / "page.html").read_text()
    assert quantize_headline(result).startswith("Int8 for cpu accepted at ")
    assert "&lt;b&gt;frame&lt;/b&gt;" in page and "<b>frame" not in page
    assert page.count("data:image/jpeg") == 3 * 3
    for words in ("Layers on cpu", "Ranges, int8 for cpu",
                  "predicts the kernels of DynamicFilter", "mgdn quantize x",
                  "3 of 3 in int8"):  # fmt: skip
        assert words in page, words
