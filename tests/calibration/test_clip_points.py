"""The four methods against numpy and scipy on distributions whose answer is known."""

import numpy as np
import pytest
from scipy import optimize, stats

from mgdn_edge.calibration.clip_points import (
    METHODS,
    ClipMethod,
    ClipPoints,
    Scheme,
    choose_clip_points,
    clipped_share,
    divergence,
    make_grid,
    quantise,
)
from mgdn_edge.calibration.histogram import Histogram

SAMPLES = 1 << 20


def counted(values):
    histogram = Histogram()
    histogram.add(values.astype(np.float32))
    return histogram.finish()


@pytest.fixture(scope="module")
def normal():
    return np.random.default_rng(1).normal(0, 2, SAMPLES).astype(np.float32)


@pytest.fixture(scope="module")
def one_sided():
    values = np.random.default_rng(2).laplace(0, 0.4, SAMPLES).astype(np.float32)
    return np.maximum(values, 0)


@pytest.mark.parametrize("scheme", Scheme)
def test_minmax_clips_nothing(normal, scheme):
    points = choose_clip_points(counted(normal), ClipMethod("minmax"), scheme)
    assert (points.low, points.high) == (normal.min(), normal.max())


@pytest.mark.parametrize("percentile", [50.0, 99.0, 99.9, 99.99])
def test_percentile_equals_numpys_quantiles(normal, percentile):
    found = counted(normal)
    points = choose_clip_points(found, ClipMethod("percentile", percentile), Scheme.AFFINE)
    tail = (1 - percentile / 100) / 2
    wanted = np.quantile(normal, [tail, 1 - tail])
    assert np.allclose((points.low, points.high), wanted, atol=2 * found.span / 4096)
    share = np.mean((normal < points.low) | (normal > points.high))
    assert clipped_share(found, points) == pytest.approx(share, abs=2e-3)


def test_percentile_of_one_sign_keeps_all_of_the_other_end(one_sided):
    found = counted(one_sided)
    points = choose_clip_points(found, ClipMethod("percentile", 99.0), Scheme.AFFINE)
    assert points.low == 0
    assert points.high == pytest.approx(np.quantile(one_sided, 0.99), abs=found.span / 4096)


def expected_error(threshold, density, scale):
    """Mean squared error of clipping at a threshold plus rounding in between, by integration."""
    grid = np.linspace(threshold, threshold + 40, 20001)
    tail = np.trapezoid(np.square(grid - threshold) * density.pdf(grid), grid)
    inside = density.cdf(threshold) - density.cdf(-threshold)
    return 2 * tail + inside * np.square(scale(threshold)) / 12


@pytest.mark.parametrize("density", [stats.norm(0, 2), stats.laplace(0, 1)])
def test_mse_finds_the_analytical_optimum(density):
    values = density.rvs(SAMPLES, random_state=3)
    points = choose_clip_points(counted(values), ClipMethod("mse"), Scheme.SYMMETRIC)
    best = optimize.minimize_scalar(
        lambda t: expected_error(t, density, lambda t: t / 127), bounds=(0.5, 40), method="bounded"
    )
    threshold = max(-points.low, points.high)
    assert threshold == pytest.approx(best.x, rel=0.12)
    errors = [expected_error(t, density, lambda t: t / 127) for t in (threshold, best.x)]
    assert errors[0] <= 1.02 * errors[1]


def test_mse_is_the_best_of_the_methods_on_real_values(normal, one_sided):
    for values in (normal, one_sided):
        found = counted(values)
        for scheme in Scheme:
            errors = {}
            for name in METHODS:
                grid = make_grid(choose_clip_points(found, ClipMethod(name), scheme), scheme)
                errors[name] = np.square(quantise(values.astype(np.float64), grid) - values).mean()
            assert errors["mse"] <= 1.01 * min(errors.values()), (scheme, errors)


def slow_divergence(counts, bins, levels):
    """The same by scipy and a loop over the steps, as the published slides tell it."""
    reference = counts[:bins].astype(float).copy()
    reference[-1] += counts[bins:].sum()
    spread = np.zeros(bins)
    for level in range(levels):
        start, end = level * bins // levels, (level + 1) * bins // levels
        part = counts[start:end]
        full = reference[start:end] > 0
        if full.any():
            spread[start:end][full] = part.sum() / full.sum()
    return stats.entropy(reference, spread)


@pytest.mark.parametrize("bins", [128, 129, 500, 1000, 2047])
def test_divergence_equals_scipys(bins):
    counts = np.random.default_rng(bins).poisson(np.linspace(40, 0, 2048)).astype(float)
    assert divergence(counts, bins, 128) == pytest.approx(slow_divergence(counts, bins, 128))


def test_entropy_clips_a_few_far_values(normal):
    values = np.append(normal, np.float32([300, -280]))
    points = choose_clip_points(counted(values), ClipMethod("entropy"), Scheme.SYMMETRIC)
    assert 6 < points.high < 40
    assert points.high == pytest.approx(-points.low)


def test_zeros_do_not_decide(one_sided):
    many = np.concatenate([one_sided, np.zeros(20 * SAMPLES, np.float32)])
    method = ClipMethod("entropy")
    few_points, many_points = (
        choose_clip_points(counted(values), method, Scheme.AFFINE) for values in (one_sided, many)
    )
    assert few_points == many_points


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("value", [0.0, 0.75, -2.5, 1e-30])
def test_a_constant_tensor_keeps_its_value(name, scheme, value):
    values = np.full(100, value, np.float32)
    grid = make_grid(choose_clip_points(counted(values), ClipMethod(name), scheme), scheme)
    assert grid.scale > 0
    assert quantise(np.array([value]), grid)[0] == pytest.approx(value, rel=0.01, abs=1e-30)
    assert quantise(np.zeros(1), grid)[0] == 0


def test_zero_is_exact_in_every_grid():
    for low, high in ((-1.0, 0.0), (-0.3, 1.7), (0.0, 5.0), (-1e-6, 4.0)):
        for scheme in Scheme:
            grid = make_grid(ClipPoints(low, high), scheme)
            assert quantise(np.zeros(1), grid)[0] == 0
            inside = np.linspace(low, high, 999)
            assert np.abs(quantise(inside, grid) - inside).max() <= 1.01 * grid.scale
