"""Alignment from the scene alone: right, or refused."""

import cv2
import numpy as np
import pytest
from support.alignment_rigs import mean_error

from mgdn_edge.runtime.alignment.measure.automatic import (
    LEAST,
    Evidence,
    align_frames,
    find_alignment,
)
from mgdn_edge.runtime.alignment.measure.edge_directions import direction_field, real_part_mask
from mgdn_edge.runtime.alignment.measure.point_pairs import read_points, transfer_errors
from mgdn_edge.runtime.errors import UserError


def test_a_turned_smaller_infrared_camera_is_found(turned_frames):
    frames, truth = turned_frames
    found = align_frames(frames)
    error = mean_error(found.homography, truth, frames[0][1].shape, frames[0][0].shape)
    assert error < 2.0
    assert error < found.error_px < 6.0  # what it says of itself covers what is true
    assert found.evidence.confidence > LEAST


def test_inverted_infrared_makes_no_difference(turned_frames):
    frames, truth = turned_frames
    inverted = [(visible, 255 - infrared) for visible, infrared in frames[:1]]
    found = align_frames(inverted)
    assert mean_error(found.homography, truth, frames[0][1].shape, frames[0][0].shape) < 2.0


def test_unrelated_scenes_are_refused_with_a_cure(unrelated_frames):
    with pytest.raises(UserError, match=r"not aligned: .*confidence") as error:
        align_frames(unrelated_frames)
    assert "--points" in str(error.value)


def _pictures():
    draw = np.random.default_rng(0)
    flat, one = np.full((60, 80), 90, np.uint8), np.zeros((1, 1), np.uint8)
    noise = [draw.integers(0, 256, (60, 80), np.uint8) for _ in range(2)]
    stripes = np.tile(np.arange(80, dtype=np.uint8) // 4 % 2 * 200, (60, 1))
    scene = np.zeros((60, 80), np.uint8)
    cv2.rectangle(scene, (20, 15), (55, 40), 200, 2)
    return {
        "flat and scene": (scene, flat),
        "one pixel": (one, one),
        "one pixel of infrared": (scene, one),
        "noise": tuple(noise),
        "stripes, which fit anywhere": (stripes, stripes[:, 3:]),
        "black": (scene * 0, scene * 0),
    }


@pytest.mark.parametrize("name", _pictures())
def test_pictures_that_prove_nothing_are_refused(name):
    visible, infrared = _pictures()[name]
    with pytest.raises(UserError, match="not aligned"):
        align_frames([(visible, np.ascontiguousarray(infrared))])


def test_confidence_rises_with_each_observation_and_needs_parts():
    weak = Evidence(agreement=0.2, inliers=0.3, lead=1.1, halves=0.02, parts=40)
    assert weak.confidence < 0.3
    for name, better in (("agreement", 0.9), ("inliers", 0.9), ("lead", 2.5), ("halves", 0.001)):
        stronger = Evidence(**{**weak.__dict__, name: better})
        assert stronger.confidence > weak.confidence
    strong = Evidence(agreement=0.9, inliers=0.8, lead=2.0, halves=0.002, parts=40)
    assert strong.confidence > 0.99
    assert Evidence(**{**strong.__dict__, "parts": 5}).confidence == 0


def test_directions_ignore_which_side_is_bright_and_black_borders():
    picture = np.zeros((40, 60), np.float32)
    picture[:, 30:] = 100
    mask = np.ones_like(picture)
    field, reversed_ = direction_field(picture, mask), direction_field(100 - picture, mask)
    assert np.allclose(field, reversed_, atol=1e-4)
    assert field[20, 30, 0] > 0.3 and abs(field[20, 30, 1]) < 1e-3  # across: gradient runs along x
    turned = direction_field(np.ascontiguousarray(picture.T), np.ascontiguousarray(mask.T))
    assert turned[30, 20, 0] < -0.3
    bordered = np.full((40, 60), 90, np.uint8)
    bordered[:, :12] = 0
    known = real_part_mask(bordered)
    assert known[:, :12].sum() == 0 and known[:, 12:].all()
    seen, masked = (
        direction_field(bordered.astype(np.float32), mask) for mask in (np.ones_like(known), known)
    )
    assert np.abs(masked).max() < 0.05 < 0.3 < np.abs(seen).max()


@pytest.mark.data
@pytest.mark.parametrize("stem", ["01", "10"])
def test_real_camera_pairs_are_aligned(shared, stem):
    folder = shared / "data" / "unregistered" / "vis_ir_landmarks"
    pair = tuple(cv2.imread(str(folder / band / f"{stem}.png"), 0) for band in ("vi", "ir"))
    found = align_frames([pair])
    assert (
        transfer_errors(found.homography, *read_points(folder / "landmarks" / f"{stem}.csv")).mean()
        < 4
    )


@pytest.mark.data
def test_real_unrelated_pairs_are_refused(shared):
    folder = shared / "data" / "unregistered" / "vis_ir_landmarks"
    visible = cv2.imread(str(folder / "vi" / "01.png"), 0)
    found = find_alignment([(visible, cv2.imread(str(folder / "ir" / "05.png"), 0))])
    assert found is None or found.evidence.confidence < 0.5
