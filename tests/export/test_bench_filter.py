"""The benchmarks of the filter and of the published formulation, on sizes that take no time."""

import numpy as np
import pytest
import torch
from support.progress import Told

from mgdn_edge.export import bench_filter, dynamic_filter
from mgdn_edge.export.bench_published import OURS, PUBLISHED, bench_published
from mgdn_edge.export.filter_contenders import (
    FilterCase,
    aligned,
    prepare_body,
    prepare_copy,
    prepare_native,
)
from mgdn_edge.export.published_filter import published_filter, published_formulation
from mgdn_edge.runtime.errors import UserError

pytestmark = [pytest.mark.export, pytest.mark.native]


def test_every_way_is_timed_beside_the_others(monkeypatch):
    case = FilterCase(3, 32, 48)
    monkeypatch.setattr(bench_filter, "SLOW", (case,))
    told = Told()
    report = bench_filter.bench_filter([case], threads=1, rounds=8, progress=told)
    (figures,) = report.cases
    assert figures.case == "C=3 48x32 K=7 float32"
    assert figures.bytes == 4 * 32 * 48 * (2 * 3 + 49)
    assert [method.name for method in figures.methods] == [
        "native",
        "copy",
        "function body",
        "unfold",
    ]
    assert all(method.failure is None and method.wall_ms > 0 for method in figures.methods)
    assert figures.methods[0].per_native == figures.methods[1].per_copy == 1
    assert told.steps == [("timing filters", 24)] and told.parts == 24


@pytest.mark.parametrize("prepare", [prepare_native, prepare_body, prepare_copy])
def test_a_prepared_way_runs_again(prepare):
    run = prepare(FilterCase(2, 16, 16, 5, 4), 2)
    run()
    run()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_operands_begin_at_a_cache_line(dtype):
    array = np.arange(99).astype(dtype)
    assert aligned(array).ctypes.data % 64 == 0
    np.testing.assert_array_equal(aligned(array), array)


def test_the_published_formulation_is_the_same_filter():
    torch.manual_seed(0)
    feature, kernel = torch.randn(2, 3, 9, 11), torch.randn(2, 49, 9, 11)
    expected = dynamic_filter.filter_taps(feature, kernel, 7)
    assert torch.allclose(published_filter(feature, kernel, 7), expected, atol=2e-5)
    ours = dynamic_filter.filter_taps
    with published_formulation():
        assert dynamic_filter.filter_taps is published_filter
    assert dynamic_filter.filter_taps is ours
    with pytest.raises(ValueError, match="upscale=2"):
        published_filter(feature, kernel, 7, 2)


@pytest.mark.slow
def test_the_published_network_is_timed_beside_its_onnx_file():
    report = bench_published("mff", None, size=(24, 32), threads=2, frames=2)
    published, ours = report.formulations
    assert (published.name, ours.name) == (PUBLISHED, OURS)
    assert published.failure is None and ours.failure is None
    assert published.times_faster == 1
    assert ours.times_faster > 0 and ours.peak_mib > 10


def test_a_variant_that_fuses_nothing_is_refused():
    with pytest.raises(UserError, match="mff or mef"):
        bench_published("gdsr-x4", None, size=(24, 32), threads=1)
