"""Stamps, lost and frozen frames are what the options say."""

from itertools import pairwise

import numpy as np
import pytest

from mgdn_edge.runtime.synthetic import open_rig
from mgdn_edge.runtime.synthetic.camera_clocks import Clocks
from mgdn_edge.runtime.synthetic.rig_options import parse_rig

MS = 1_000_000


def clocks(options: str) -> Clocks:
    return Clocks(parse_rig(f"synthetic://night?{options}"))


def test_without_impairments_both_clocks_are_one() -> None:
    ours = clocks("fps=30000/1001")
    for number in (0, 1, 7, 99_999):
        stamp = ours.visible_pts_ns(number)
        assert stamp == round(number * 1001e9 / 30000)
        assert ours.infrared_pts_ns(number) == ours.infrared_time_ns(number) == stamp


def test_a_fast_clock_exposes_early_and_stamps_its_own_time() -> None:
    ours = clocks("skew=100&offset=-30")
    late = 25_000  # 1000 s: 0.1 s of drift
    assert ours.visible_pts_ns(late) - ours.infrared_time_ns(late) == pytest.approx(
        100 * MS, rel=1e-3
    )
    reading = ours.infrared_time_ns(late) * ours.rate_ratio - 30 * MS
    assert abs(ours.infrared_pts_ns(late) - reading) <= 1


def test_jitter_has_its_deviation_and_stamps_still_advance() -> None:
    ours = clocks("jitter=3")
    late = [ours.infrared_time_ns(n) - ours.visible_pts_ns(n) for n in range(600)]
    assert np.std(late) / MS == pytest.approx(3, rel=0.15)
    wild = clocks("jitter=100")
    stamps = [wild.infrared_pts_ns(n) for n in range(300)]
    assert all(later > earlier for earlier, later in pairwise(stamps))


def test_lost_frames_have_their_share_and_the_first_is_kept() -> None:
    ours = clocks("loss=0.2&visible_loss=0.05")
    infrared = [ours.infrared_lost(n) for n in range(2000)]
    visible = [ours.visible_lost(n) for n in range(2000)]
    assert not infrared[0] and not visible[0]
    assert np.mean(infrared) == pytest.approx(0.2, abs=0.03)
    assert np.mean(visible) == pytest.approx(0.05, abs=0.02)


def test_a_flat_field_correction_repeats_the_picture_before_it() -> None:
    rig = open_rig("synthetic://night?size=160x120&ffc=2")
    frozen = [n for n in range(100) if rig.clocks.shown(n) != n]
    assert frozen == [*range(25, 35), *range(75, 85)]  # 0.4 s at 1 s and at 3 s
    held = rig.infrared(24)
    assert np.array_equal(rig.infrared(30).plane, held.plane)
    assert rig.infrared(30).pts_ns > held.pts_ns
    assert rig.truth(30).infrared_frozen and not rig.truth(40).infrared_frozen
    assert rig.truth(30).infrared_time_ns == held.pts_ns
    assert not np.array_equal(rig.infrared(35).plane, held.plane)
    assert not np.array_equal(rig.visible(30).y, rig.visible(24).y)


def test_a_very_frequent_correction_still_shows_new_pictures() -> None:
    ours = clocks("ffc=0.1")
    shown = [ours.shown(n) for n in range(50)]
    assert all(0 <= picture <= n for n, picture in enumerate(shown))
    assert len(set(shown)) > 10


def test_gain_jumps_between_pictures_that_are_otherwise_equal() -> None:
    rig = open_rig("synthetic://night?size=160x120&gain_jump=1&noise=0")
    plain = open_rig("synthetic://night?size=160x120&noise=0")
    assert rig.truth(24).infrared_gain == (1.0, 0.0)
    gain, offset = rig.truth(25).infrared_gain
    assert rig.truth(49).infrared_gain == (gain, offset) != rig.truth(50).infrared_gain
    low, high = plain.street.look.span
    before = np.asarray(plain.infrared(30).plane).astype(float)
    middle = (before - 127.5) * gain + 127.5 + offset * 255 / (high - low)
    inside = (before > 5) & (before < 250) & (middle > 1) & (middle < 254)
    after = np.asarray(rig.infrared(30).plane).astype(float)
    assert inside.mean() > 0.3 and np.abs(after - middle)[inside].max() < 2
