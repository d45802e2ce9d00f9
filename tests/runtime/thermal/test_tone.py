import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.thermal.dead_pixels import FRAMES_TO_CONVICT, DeadPixels
from mgdn_edge.runtime.thermal.gain_jumps import GainJumps
from mgdn_edge.runtime.thermal.tone import COUNTS, ToneCurve, linear_curve, percentile_curve

FRAME_NS = 40_000_000


def minmax_levels(counts):
    return np.rint(linear_curve(counts.min(), max(counts.max(), counts.min() + 1))).astype(np.uint8)


def flicker_and_contrast(frames, curves):
    """Levels by which the same counts change from frame to frame, and the mean deviation."""
    flicker = np.mean(
        [
            np.abs(curves[i][frames[i]].astype(float) - curves[i - 1][frames[i]]).mean()
            for i in range(1, len(frames))
        ]
    )
    return flicker, np.mean([curve[f].std() for curve, f in zip(curves, frames, strict=True)])


def followed_curves(kind, frames):
    tone, every, curves = ToneCurve(kind), np.arange(COUNTS, dtype=np.uint16), []
    for number, frame in enumerate(frames):
        levels = tone.apply(frame, number * FRAME_NS)
        curves.append(tone._levels[every])
        assert (curves[-1][frame] == levels).all()
    return curves


@pytest.mark.data
@pytest.mark.parametrize("kind", ["percentile", "plateau"])
def test_a_real_drive_flickers_half_as_much_at_no_lower_contrast(shared, kind):
    paths = sorted((shared / "data/raw16/fieldscale_seq").glob("*.png"))
    frames = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]
    per_frame = flicker_and_contrast(frames, [minmax_levels(frame) for frame in frames])
    followed = flicker_and_contrast(frames, followed_curves(kind, frames))
    assert followed[0] <= per_frame[0] / 2
    assert followed[1] >= per_frame[1]


@pytest.mark.parametrize("kind", ["percentile", "plateau"])
def test_levels_grow_with_counts_and_a_cut_is_followed_at_once(kind):
    rng = np.random.default_rng(3)
    dim = (8000 + 100 * rng.standard_normal((40, 50))).astype(np.uint16)
    curve = followed_curves(kind, [dim])[0]
    assert (np.diff(curve.astype(int)) >= 0).all()
    tone = ToneCurve(kind)
    tone.apply(dim, 0)
    after = tone.apply((dim + 9000).astype(np.uint16), FRAME_NS)
    assert abs(float(after.mean()) - 127) < 20


def test_small_changes_are_held_and_larger_ones_followed_slowly():
    ramp = np.linspace(7000, 8000, 4000).astype(np.uint16).reshape(50, 80)
    tone = ToneCurve("percentile")
    first = tone.apply(ramp, 0)
    assert (tone.apply(ramp + np.uint16(5), FRAME_NS) - first <= 2).all()  # the same curve
    moved = [float(tone.apply(ramp + np.uint16(200), k * FRAME_NS).mean()) for k in range(2, 90)]
    steps = np.abs(np.diff(moved))
    assert 0 < steps.max() < 3
    assert abs(moved[-1] - float(first.mean())) < 3


@pytest.mark.parametrize("value", [0, 65535, 300])
def test_an_even_picture_and_one_pixel_are_no_trouble(value):
    for shape in ((1, 1), (3, 5)):
        for kind in ("percentile", "plateau"):
            levels = ToneCurve(kind).apply(np.full(shape, value, np.uint16), 0)
            assert levels.shape == shape and levels.dtype == np.uint8
        assert (DeadPixels().repair(np.full(shape, value, np.uint16)) == value).all()
        small = np.full(shape, value % 256, np.uint8)
        assert (GainJumps().compensate(small, 0) == small).all()


def test_plateau_gives_sky_less_range_than_linear():
    rng = np.random.default_rng(1)
    sky = 5000 + 400 * rng.random((60, 80))
    sky[40:] = 9000 + 20 * rng.standard_normal((20, 80))  # much of one temperature
    frame = sky.astype(np.uint16)
    plateau = followed_curves("plateau", [frame])[0].astype(int)
    linear = percentile_curve(np.bincount(frame.ravel(), minlength=COUNTS))
    assert plateau[5400] - plateau[5000] > 1.5 * (linear[5400] - linear[5000])


def test_dead_pixels_are_found_and_filled_and_moving_heat_is_not():
    rng = np.random.default_rng(2)
    smooth = cv2.GaussianBlur(rng.standard_normal((48, 64)), (0, 0), 4) * 500 + 8000
    dead = DeadPixels()
    for number in range(FRAMES_TO_CONVICT + 2):
        frame = (smooth + rng.standard_normal((48, 64)) * 2).astype(np.uint16)
        frame[10, 12], frame[30, 31] = 12000, 0
        frame[5 + number, 40] = 9500  # a hot point that moves
        repaired = dead.repair(frame)
        assert abs(int(repaired[30, 31]) - smooth[30, 31]) < 60  # stuck at zero: at once
        assert repaired[5 + number, 40] == 9500
    assert abs(int(repaired[10, 12]) - smooth[10, 12]) < 60
    assert dead.dead.sum() == 2
    assert frame[10, 12] == 12000  # the input is left alone


def gain_jumps(means):
    return np.abs(np.diff(means))


@pytest.mark.data
def test_gain_jumps_of_a_real_camera_are_at_least_halved(shared):
    folder = str(shared / "data/sequences/0114_1611/ir")
    plain, steady = [], []
    for options, means in ((InfraredOptions(), plain), (InfraredOptions(steady=True), steady)):
        with open_infrared(folder, options) as source:
            means.extend(float(frame.plane.mean()) for frame in source.frames())
    assert gain_jumps(plain).max() > 30
    assert gain_jumps(steady).max() <= gain_jumps(plain).max() / 2
    for jump in (2, 3, 7, 8, 9):  # where the camera's gain steps
        assert gain_jumps(steady)[jump] <= gain_jumps(plain)[jump] / 2


def test_a_correction_fades_and_ordinary_frames_pass_untouched():
    rng = np.random.default_rng(5)
    scene = cv2.GaussianBlur(rng.standard_normal((96, 128)), (0, 0), 5) * 80 + 90
    scene = np.clip(scene, 5, 250)
    jumps = GainJumps()
    before = scene.astype(np.uint8)
    assert (jumps.compensate(before, 0) == before).all()
    brighter = np.clip(scene * 1.4 + 10, 0, 255).astype(np.uint8)
    corrected = jumps.compensate(brighter, FRAME_NS)
    assert abs(float(corrected.mean()) - float(before.mean())) < 3
    for k in range(2, 800):
        last = jumps.compensate(brighter, k * FRAME_NS)
    assert abs(float(last.mean()) - float(brighter.mean())) < 2
    cut = rng.integers(0, 255, (96, 128)).astype(np.uint8)
    jumps = GainJumps()
    jumps.compensate(before, 0)
    assert (jumps.compensate(cut, FRAME_NS) == cut).all()  # another scene is not a jump


def test_black_hot_is_turned_and_two_choices_of_levels_are_refused(tmp_path):
    counts = np.array([[7000, 8000]], np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), counts)
    options = InfraredOptions(span=(7000, 8000), black_hot=True)
    with open_infrared(str(tmp_path / "a.png"), options) as source:
        (frame,) = source.frames()
    assert frame.plane.tolist() == [[255, 0]]
    assert frame.counts.tolist() == counts.tolist()
    with pytest.raises(UserError, match="give one"):
        InfraredOptions(span=(1, 2), agc="plateau")


def test_every_reading_of_a_source_starts_anew(tmp_path):
    for number in range(3):
        picture = np.linspace(7000, 8000 + 1500 * number, 600).astype(np.uint16).reshape(20, 30)
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    with open_infrared(str(tmp_path), InfraredOptions(agc="percentile")) as source:
        first, second = ([f.plane for f in source.frames()] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
