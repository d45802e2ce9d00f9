import numpy as np
import pytest
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps

from mgdn_edge.runtime.stream.latency import measure_stages, percentiles, warmup_frames
from mgdn_edge.runtime.stream.ledger import SPANS, STAGES, Ledger, span_ns


def test_rows_keep_their_values_while_the_ledger_grows():
    ledger = Ledger()
    for seq in range(5000):
        ledger.add(FrameStamps(seq=seq, capture_ns=seq * 7, out_ns=seq * 7 + 3))
    rows = ledger.rows
    assert len(rows) == 5000
    np.testing.assert_array_equal(rows["seq"], np.arange(5000))
    np.testing.assert_array_equal(span_ns(rows, "end_to_end"), np.full(5000, 3))


def test_dropped_frames_are_kept_apart():
    ledger = Ledger()
    ledger.add_dropped(4, 160, 999)
    assert len(ledger.rows) == 0
    assert ledger.dropped.tolist() == [(4, 160, 999)]


def test_stages_follow_each_other_without_a_gap():
    ends = [end for _, end in STAGES.values()]
    begins = [begin for begin, _ in STAGES.values()]
    assert ends[:-1] == begins[1:]
    assert SPANS["end_to_end"] == (begins[0], ends[-1])


def test_percentiles_are_milliseconds_after_warmup():
    durations = np.concatenate([np.full(10, 10**12), np.arange(1, 102) * 10**6])
    figures = percentiles(durations, 10)
    assert (figures.p50, figures.p95, figures.p99, figures.max) == (51.0, 96.0, 100.0, 101.0)
    assert (figures.n, figures.warmup) == (101, 10)


@pytest.mark.parametrize(("frames", "warmup"), [(1, 0), (9, 0), (16, 1), (99, 9), (560, 10)])
def test_warmup_is_at_most_a_tenth(frames, warmup):
    assert warmup_frames(frames) == warmup


def test_no_frames_no_figures():
    assert measure_stages(Ledger().rows) == {}
