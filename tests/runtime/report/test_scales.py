import pytest

from mgdn_edge.runtime.report.scales import (
    Scale,
    scale_from_zero,
    scale_of_sizes,
    share_of_largest,
)


def test_ends_and_middle():
    scale = Scale(10, 30)
    assert [scale.across(value) for value in (10, 15, 30)] == [0, 25, 100]
    assert [scale.down(value) for value in (10, 15, 30)] == [100, 75, 0]
    narrow = Scale(10, 30, margin=6)
    assert [narrow.across(value) for value in (10, 20, 30)] == [6, 50, 94]
    assert Scale(7, 7).across(7) == 50


@pytest.mark.parametrize("highest", [0.0, 0.003, 0.7, 1, 9.9, 33.3, 4000])
def test_an_axis_from_zero_holds_its_largest_value_and_has_round_ticks(highest):
    scale = scale_from_zero(highest)
    assert 0 <= scale.down(highest) <= 100 and scale.down(0) == 100
    assert 2 <= len(scale.ticks) <= 6 and scale.ticks[0] == 0
    step = scale.ticks[1]
    assert scale.ticks == pytest.approx([number * step for number in range(len(scale.ticks))])
    assert f"{step:e}"[0] in "125"
    assert [tick.place for tick in scale.ticks_down()] == [scale.down(t) for t in scale.ticks]


def test_a_logarithmic_axis_marks_powers_of_ten_and_more_where_there_are_few():
    wide = scale_of_sizes([0.5, 900])
    assert [tick.label for tick in wide.ticks_across()] == ["1", "10", "100", "1000"]
    first, second, third = (wide.across(value) for value in (1, 10, 100))
    assert second - first == pytest.approx(third - second, abs=0.02)
    narrow = scale_of_sizes([8, 12])
    assert [tick.label for tick in narrow.ticks_across()] == ["5", "10", "20"]
    assert 0 < narrow.across(8) < narrow.across(12) < 100


def test_bars_fill_the_side_and_zeros_are_nothing():
    assert share_of_largest([1, 4]).across(1) == 25 and share_of_largest([1, 4]).across(4) == 100
    assert share_of_largest([0.0]).across(0) == 0 and share_of_largest([]).across(0) == 0
