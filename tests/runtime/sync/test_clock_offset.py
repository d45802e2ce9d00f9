import dataclasses

import numpy as np
import pytest

from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.sync.clock_offset import measure_clock
from mgdn_edge.runtime.sync.motion import Motion, measure_motion


@pytest.fixture(scope="module")
def visible_motion(street):
    return measure_motion(street.visible)


@pytest.mark.parametrize("offset", [0, 7, 137, 300, -220])
def test_the_offset_of_a_jittered_lossy_rig_is_found_within_5_ms(street, visible_motion, offset):
    fit = measure_clock(visible_motion, measure_motion(street.with_offset(offset)))
    truth = offset + 200e-6 * fit.at_s * 1e3
    assert abs(fit.offset_ms - truth) < 5
    assert fit.error_ms < 5


def test_frozen_and_jumping_infrared_changes_nothing(street, visible_motion):
    frames = street.with_offset(60)
    for number, frame in enumerate(frames):
        plane = frames[40].plane if 40 <= number < 50 else frame.plane
        if number > 90:  # the camera's gain steps down
            plane = np.asarray(plane * 0.7 + 20, np.uint8)
        frames[number] = dataclasses.replace(frame, plane=plane)
    assert abs(measure_clock(visible_motion, measure_motion(frames)).offset_ms - 60.6) < 5


def test_skew_is_found_where_a_recording_is_long_enough(street, visible_motion):
    # The same 6 s twelve times over, the infrared clock fast by 500 ppm.
    infrared = measure_motion(street.infrared)
    length = 6_000_000_000
    times = [visible_motion.times_ns + k * length for k in range(12)]
    visible = Motion(np.concatenate(times), np.concatenate([visible_motion.energy] * 12))
    true = np.concatenate([infrared.times_ns + k * length for k in range(12)])
    late = Motion(
        true + np.round(true * 500e-6).astype(np.int64), np.tile(infrared.energy, (12, 1, 1))
    )
    fit = measure_clock(visible, late)
    assert abs(fit.skew_ppm - 500) < 60
    assert abs(fit.offset_ms - 500e-3 * fit.at_s) < 3


def test_it_refuses_rather_than_guesses(street, visible_motion):
    infrared = measure_motion(street.infrared)
    rng = np.random.default_rng(1)
    shuffled = Motion(infrared.times_ns, infrared.energy[rng.permutation(len(infrared.energy))])
    with pytest.raises(UserError, match="may be chance"):
        measure_clock(visible_motion, shuffled)
    still = Motion(infrared.times_ns, np.zeros_like(infrared.energy))
    with pytest.raises(UserError, match="nothing moves"):
        measure_clock(visible_motion, still)
    far = Motion(infrared.times_ns + 10**15, infrared.energy)
    with pytest.raises(UserError, match="do not overlap within 1000 ms"):
        measure_clock(visible_motion, far)
    short = Motion(infrared.times_ns[:30], infrared.energy[:30])
    with pytest.raises(UserError, match="shorter than 3 s"):
        measure_clock(visible_motion, short)
    with pytest.raises(UserError, match="shorter than 3 s"):
        measure_clock(visible_motion, measure_motion([]))


def test_views_beside_each_other_are_sent_to_align(street, visible_motion):
    infrared = measure_motion(street.infrared)
    beside = Motion(infrared.times_ns, np.roll(infrared.energy, 6, axis=2))
    with pytest.raises(
        UserError, match=r"not aligned.*\+8% of the width.*mgdn align|may be chance"
    ):
        measure_clock(visible_motion, beside)


def test_one_pixel_pictures_and_repeated_stamps_are_no_trouble(street):
    tiny = [dataclasses.replace(f, plane=f.plane[:1, :1], pts_ns=0) for f in street.infrared[:3]]
    assert len(measure_motion(tiny).times_ns) == 0


@pytest.mark.data
@pytest.mark.parametrize("clip", ["0111_1716_mp4", "1230_1202_mp4"])
def test_real_clips_shifted_against_each_other(shared, clip):
    folder = shared / "data" / "sequences" / clip
    with open_visible(str(folder / "vi.mp4")) as vi, open_infrared(str(folder / "ir.mp4")) as ir:
        visible = measure_motion(f for f in vi.frames() if f.seq < 180)
        infrared = measure_motion(f for f in ir.frames() if f.seq < 180)
    # The cameras' own offset in these recordings is not known: shifts are measured against it.
    own = measure_clock(visible, infrared).offset_ms
    assert abs(own) < 1000 / 30
    for dropped, ahead_ms in ((0, 13.0), (9, -100.0), (4, 250.5)):
        ahead = infrared.times_ns[dropped:] + round(ahead_ms * 1e6)
        fit = measure_clock(visible, Motion(ahead, infrared.energy[dropped:]))
        assert abs(fit.offset_ms - own - ahead_ms) < 5
