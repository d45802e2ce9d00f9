"""The rig draws what its truth says, and the same again for the same URI."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.measure.measure_truth import contrast, surroundings
from mgdn_edge.runtime.synthetic import Rig, open_rig

DIGEST = """
import hashlib
from mgdn_edge.runtime.synthetic import open_rig
rig = open_rig("synthetic://night?seed=4&size=161x121")
frame = rig.frame(7)
print(hashlib.sha256(frame.visible.y.tobytes() + frame.infrared.plane.tobytes()).hexdigest())
"""


def test_another_process_draws_the_same_pixels() -> None:
    runs = {
        subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(runs) == 1 and len(runs.pop()) == 65


def test_frames_may_be_drawn_in_any_order(night: Rig) -> None:
    first = night.frame(9)
    night.frame(50)
    again = open_rig("synthetic://night?seed=1&size=320x240&frames=100").frame(9)
    assert np.array_equal(first.visible.y, again.visible.y)
    assert np.array_equal(first.infrared.plane, again.infrared.plane)
    assert np.array_equal(first.truth.person, again.truth.person)


def test_seeds_and_frames_differ(night: Rig) -> None:
    other = open_rig("synthetic://night?seed=2&size=320x240")
    assert (other.clean(9).visible != night.clean(9).visible).mean() > 0.3
    assert (night.clean(9).infrared != night.clean(20).infrared).any()
    # Noise is drawn anew for every frame.
    noise = [night.visible(n).y.astype(int) - night.clean(n).visible for n in (9, 10)]
    sky = np.s_[5:60, 100:220]
    assert abs(np.corrcoef(noise[0][sky].ravel(), noise[1][sky].ravel())[0, 1]) < 0.1


def contrasts(rig: Rig, number: int, name: str) -> tuple[float, float]:
    """Mean |contrast| of the instances in clean visible and infrared, in levels."""
    clean, truth = rig.clean(number), rig.truth(number)
    masks = [mask for mask in getattr(truth, name) if mask.sum() >= 40]
    assert masks
    rings = [surroundings(mask) for mask in masks]
    planes = (clean.visible, np.asarray(clean.infrared))
    return tuple(
        float(np.mean([abs(contrast(plane, m, r)) for m, r in zip(masks, rings, strict=True)]))
        for plane in planes
    )


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_at_night_people_are_warm_and_words_are_lit(seed: int) -> None:
    rig = open_rig(f"synthetic://night?seed={seed}&size=320x240")
    for number in (10, 70):
        in_visible, in_infrared = contrasts(rig, number, "people")
        assert in_infrared > 50 and in_visible < in_infrared / 2
        in_visible, in_infrared = contrasts(rig, number, "words")
        assert in_visible > 50 and in_infrared < in_visible / 10


def test_a_person_in_the_dark_is_in_the_infrared_only(night: Rig) -> None:
    clean, truth = night.clean(40), night.truth(40)
    rings = [surroundings(mask) for mask in truth.people]
    visible = [
        abs(contrast(clean.visible, mask, ring))
        for mask, ring in zip(truth.people, rings, strict=True)
    ]
    assert min(visible) < 8


def test_smoke_blinds_the_visible_camera_only(smoky: Rig) -> None:
    truth, clean = smoky.truth(30), smoky.clean(30)
    clear = open_rig("synthetic://smoke?seed=1&size=320x240&frames=100&smoke=0")
    without = clear.clean(30)
    assert 0.1 < truth.smoke.mean() < 0.9 and not clear.truth(30).smoke.any()
    inner = cv2.erode(truth.smoke.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0

    def texture(plane: np.ndarray) -> float:
        return float(np.abs(cv2.Laplacian(plane, cv2.CV_64F))[inner].mean())

    assert texture(clean.visible) < 0.5 * texture(without.visible)
    assert texture(np.asarray(clean.infrared)) > 0.8 * texture(np.asarray(without.infrared))


def test_masks_lie_in_one_another_as_they_should(night: Rig) -> None:
    truth = night.truth(60)
    assert np.array_equal(truth.person, np.any(truth.people, axis=0))
    assert np.array_equal(truth.text, np.any(truth.words, axis=0))
    assert not (truth.person & truth.vehicle).any() and not (truth.person & truth.text).any()
    for mask, (x0, y0, x1, y1) in zip(truth.people, truth.person_boxes, strict=True):
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
    assert truth.lamp.any() and truth.vehicle.sum() > 300
    assert 0.05 < truth.flat.mean() < 0.9 and not (truth.flat & truth.silhouettes).any()


def test_lamps_shine_in_the_visible_only(night: Rig) -> None:
    truth, clean = night.truth(60), night.clean(60)
    assert clean.visible[truth.lamp].mean() > 180
    assert np.asarray(clean.infrared)[truth.lamp].mean() < 120


def test_noise_has_the_deviation_of_its_sensors(night: Rig) -> None:
    truth, clean, frame = night.truth(60), night.clean(60), night.frame(60)
    visible = (frame.visible.y.astype(int) - clean.visible)[truth.flat]
    infrared = (frame.infrared.plane.astype(int) - np.asarray(clean.infrared))[truth.flat]
    assert 1.0 < visible.std() < 6 and 0.5 < infrared.std() < 2
    quiet = open_rig("synthetic://night?seed=1&size=320x240&noise=0")
    assert np.array_equal(quiet.visible(60).y, clean.visible)


def test_sixteen_bits_are_counts_of_the_same_picture() -> None:
    uri = "synthetic://night?seed=1&size=160x120&noise=0"
    eight, sixteen = open_rig(uri), open_rig(f"{uri}&ir_bits=16")
    counts = sixteen.infrared(3).plane
    assert counts.dtype == np.uint16 and counts.max() - counts.min() > 500
    low, high = sixteen.span
    levels = np.clip(np.rint((counts.astype(float) - low) * 255 / (high - low)), 0, 255)
    assert np.abs(levels - eight.infrared(3).plane).max() <= 1


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (16, 200), (121, 33)])
@pytest.mark.parametrize("scene", ["night", "smoke"])
def test_tiny_and_odd_sizes_are_drawn(size: tuple[int, int], scene: str) -> None:
    rig = open_rig(f"synthetic://{scene}?size={size[1]}x{size[0]}&seed=3")
    frame = rig.frame(5)
    assert frame.visible.y.shape == frame.infrared.plane.shape == frame.truth.person.shape == size
    half = (-(-size[0] // 2), -(-size[1] // 2))
    assert [plane.shape for plane in frame.visible.chroma or ()] == [half, half]


def test_long_scenes_keep_people_in_view(night: Rig) -> None:
    assert len(night.truth(99_999).people) >= 2
