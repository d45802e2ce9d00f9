import numpy as np
import pytest

from mgdn_edge.calibration.histogram import Histogram, open_histogram
from mgdn_edge.runtime.bundle.ranges import (
    BINS,
    PairDigest,
    Ranges,
    decode_ranges,
    encode_ranges,
    ranges_digest,
)
from mgdn_edge.runtime.errors import UserError


def drawn(seed, spread):
    return np.random.default_rng(seed).normal(0, spread, (3, 40, 50)).astype(np.float32)


def count(*parts):
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram.finish()


def test_counts_equal_numpys():
    values = np.concatenate([drawn(1, 0.3).ravel(), drawn(2, 5).ravel()])
    found = count(values)
    edges = np.linspace(-found.span, found.span, BINS + 1)
    wanted, _ = np.histogram(values.astype(np.float64), edges)
    got = np.zeros(BINS, np.int64)
    got[found.first : found.first + len(found.counts)] = found.counts
    assert np.array_equal(got, wanted)
    assert (found.low, found.high, found.count) == (values.min(), values.max(), values.size)
    assert found.span / 2 <= np.abs(values).max() < found.span


def test_the_order_of_the_frames_does_not_matter():
    parts = [drawn(seed, spread) for seed, spread in enumerate((0.001, 40, 1, 7e-6))]
    assert count(*parts) == count(*reversed(parts)) == count(np.concatenate(parts))


def test_a_stored_range_goes_on_where_it_ended():
    first, second = drawn(1, 0.1), drawn(2, 30)
    goes_on = open_histogram(count(first))
    goes_on.add(second)
    assert goes_on.finish() == count(first, second)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e30, -3e-30, 6.0e4])
def test_a_single_value_has_its_bin(value):
    found = count(np.full((1, 1, 1, 1), value, np.float32))
    assert found.low == found.high == np.float32(value)
    assert found.counts == (1,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="NaN or infinite"):
        count(np.array([1, bad, 2], np.float32))


def test_nothing_counted_is_no_range():
    with pytest.raises(ValueError, match="no value"):
        count(np.zeros((0, 3), np.float32))


def test_memory_is_one_set_of_bins_whatever_comes():
    histogram = Histogram()
    for seed in range(50):
        histogram.add(drawn(seed, 2.0**seed))
    assert histogram.counts.nbytes == BINS * 8
    assert histogram.counts.sum() == histogram.count


def test_ranges_survive_their_file_and_say_what_is_wrong():
    ranges = Ranges("tiny", {"b": count(drawn(1, 1)), "a": count(drawn(2, 1))}, (), "all")
    assert decode_ranges(encode_ranges(ranges)) == ranges
    turned = Ranges("tiny", dict(reversed(ranges.tensors.items())), (), "all")
    assert ranges_digest(turned) == ranges_digest(ranges)
    more = Ranges("tiny", ranges.tensors, (PairDigest("x", "0" * 64, "1" * 64),), "all")
    assert ranges_digest(more) != ranges_digest(ranges)
    with pytest.raises(UserError, match="not ranges"):
        decode_ranges(encode_ranges(ranges)[:-20])
    with pytest.raises(UserError, match="schema 2"):
        decode_ranges(encode_ranges(ranges).replace(b'"schema":1', b'"schema":2'))
