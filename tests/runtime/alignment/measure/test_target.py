"""Boards and circles, drawn as two cameras of known geometry would see them."""

import cv2
import numpy as np
import pytest
from support.alignment_rigs import visible_frame

from mgdn_edge.runtime.alignment.apply.remap import Alignment
from mgdn_edge.runtime.alignment.apply.rig_file import Pose, plane_homography
from mgdn_edge.runtime.alignment.measure.align import RigRequest, make_rig
from mgdn_edge.runtime.alignment.measure.alignment_pairs import AlignmentPair
from mgdn_edge.runtime.alignment.measure.measured_geometry import rows_of
from mgdn_edge.runtime.alignment.measure.target import find_target, measure_target, parse_target
from mgdn_edge.runtime.errors import UserError

VISIBLE = np.array([[600.0, 0, 319.5], [0, 600.0, 179.5], [0, 0, 1]])
INFRARED = np.array([[250.0, 0, 127.5], [0, 250.0, 95.5], [0, 0, 1]])
TURN = cv2.Rodrigues(np.radians([1.0, -2.0, 1.5]))[0]
SHIFT = np.array([0.06, 0.01, 0.005])
PITCH = 0.05  # metres
CELL = 40  # pixels of the drawing a square


def texture(kind, columns, rows):
    """The target as a picture, and the homography from its pixels to pitches."""
    picture = np.full(((rows + 3) * CELL, (columns + 3) * CELL), 200, np.uint8)
    for row in range(rows + 1):
        for column in range(columns + 1):
            if kind == "board" and (row + column) % 2:
                top, left = (row + 1) * CELL, (column + 1) * CELL
                picture[top : top + CELL, left : left + CELL] = 60
            elif kind == "circles" and row < rows and column < columns:
                middle = ((column + 2) * CELL, (row + 2) * CELL)
                cv2.circle(picture, middle, CELL // 3, 60, -1, cv2.LINE_AA)
    corner = 2 * CELL - (0.5 if kind == "board" else 0)
    return picture, np.array(
        [[1 / CELL, 0, -corner / CELL], [0, 1 / CELL, -corner / CELL], [0, 0, 1]]
    )


def draw(kind, homography, size, *, seed, inverted=False, columns=8, rows=5):
    picture, to_pitches = texture(kind, columns, rows)
    grow = np.array([[3, 0, 1], [0, 3, 1], [0, 0, 1.0]])
    large = cv2.warpPerspective(
        picture, grow @ homography @ to_pitches, (size[0] * 3, size[1] * 3), borderValue=130
    )
    drawn = cv2.resize(large, size, interpolation=cv2.INTER_AREA).astype(float)
    drawn += np.random.default_rng(seed).normal(0, 2, drawn.shape)
    drawn = 260 - drawn if inverted else drawn
    return np.clip(drawn, 0, 255).round().astype(np.uint8)


def film(count, kind="board", seed=0):
    """Frame pairs of a target held up ``count`` times; infrared sees it reversed and small."""
    draw_pose = np.random.default_rng(seed)
    pairs = []
    for number in range(count):
        tilt = cv2.Rodrigues(np.radians(draw_pose.uniform(-25, 25, 3) * (1, 1, 0.3)))[0]
        place = draw_pose.uniform((-0.2, -0.12, 0.8), (0.2, 0.12, 1.4))
        place = place - tilt @ np.array([3.5 * PITCH, 2 * PITCH, 0])
        views = []
        for lens, turn, shift in ((VISIBLE, TURN, SHIFT), (INFRARED, np.eye(3), np.zeros(3))):
            axes = turn @ tilt * PITCH
            views.append(lens @ np.column_stack([axes[:, 0], axes[:, 1], turn @ place + shift]))
        visible = draw(kind, views[0], (640, 360), seed=number)
        infrared = draw(kind, views[1], (256, 192), seed=99 + number, inverted=True)
        pairs.append(AlignmentPair(visible_frame(visible), infrared))
    return pairs


@pytest.mark.parametrize("kind", ["board", "circles"])
@pytest.mark.parametrize("inverted", [False, True])
def test_corners_are_found_to_a_fraction_of_a_pixel(kind, inverted):
    place = np.array([[21.0, 2, 30], [-1.5, 20, 35], [2e-3, 1e-3, 1]])
    picture = draw(kind, place, (256, 192), seed=1, inverted=inverted)
    target = parse_target(f"{kind}:8x5")
    found = find_target(picture, target)
    places = target.places[:, :2].astype(float)
    wanted = cv2.perspectiveTransform(places[None], place)[0]
    assert min(np.abs(found - wanted).max(), np.abs(found[::-1] - wanted).max()) < 0.6


def test_enough_views_give_lenses_and_pose_for_every_distance():
    pairs = film(9)
    measured = measure_target(pairs, parse_target("board:8x5:50"))
    assert measured.error_px < 0.3 and measured.evidence == 9 * 40
    probe = np.array([[[10.0, 10], [240, 10], [240, 180], [10, 180], [128, 96]]])
    truth = Pose(rows_of(TURN), tuple(SHIFT.tolist()))
    rig = make_rig(measured, pairs[0], RigRequest())
    for metres in (1.0, 5.0, 50.0):
        wanted = plane_homography(rows_of(VISIBLE), rows_of(INFRARED), truth, metres)
        got, exact = (
            cv2.perspectiveTransform(probe, matrix) for matrix in (rig.homography(metres), wanted)
        )
        assert np.linalg.norm(got - exact, axis=2).mean() < 1.5
    assert Alignment(rig, 5.0).size == (360, 640)


def test_few_views_or_no_size_give_the_homography_of_their_distance():
    for text, count in (("board:8x5", 1), ("board:8x5:50", 2)):
        pairs = film(count, seed=3)
        measured = measure_target(pairs, parse_target(text))
        assert measured.pose is None and measured.method == "target"
        seen = find_target(pairs[0].visible.y, parse_target(text))
        there = find_target(pairs[0].infrared, parse_target(text))
        mapped = cv2.perspectiveTransform(there[None], np.array(measured.homography))[0]
        error = min(np.linalg.norm(mapped - other, axis=1).mean() for other in (seen, seen[::-1]))
        assert error < max(1.0, 2 * measured.error_px)


def test_no_target_is_a_refusal():
    pairs = film(1)
    with pytest.raises(UserError, match="not aligned: no frame of 1 shows the whole board of 9x6"):
        measure_target(pairs, parse_target("board:9x6"))


@pytest.mark.parametrize("text", ["board", "board:8", "ring:8x5", "board:2x5", "board:8x5:0", ""])
def test_wrong_targets_name_the_form(text):
    with pytest.raises(UserError, match="board:8x5:40"):
        parse_target(text)
