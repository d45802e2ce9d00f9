"""Homographies map points, and the pictures agree with them."""

import numpy as np
import pytest

from mgdn_edge.runtime.synthetic import open_rig
from mgdn_edge.runtime.synthetic.camera import Camera, infrared_camera, visible_camera
from mgdn_edge.runtime.synthetic.rig_options import parse_rig
from mgdn_edge.runtime.synthetic.truth import box_of

TURNED = "yaw=2&pitch=-1.5&roll=4&ir_fov=40&ir_size=256x192"


def mapped(homography: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    lifted = np.column_stack([pixels, np.ones(len(pixels))]) @ homography.T
    return lifted[:, :2] / lifted[:, 2:]


def points_at(camera: Camera, distance: float) -> np.ndarray:
    """World points on the plane ``distance`` metres before ``camera``."""
    offsets = np.array([(x, y, distance) for x in (-3.0, 0.5, 4.0) for y in (-2.0, 0.0, 1.0)])
    return offsets @ camera.rotation + camera.position


@pytest.mark.parametrize("options", [TURNED, f"{TURNED}&parallax=0.3", "parallax=-0.5"])
@pytest.mark.parametrize("distance", [6.0, 25.0])
def test_the_homography_at_a_distance_maps_that_plane(options: str, distance: float) -> None:
    rig = open_rig(f"synthetic://night?size=320x240&{options}")
    points = points_at(rig.visible_camera, distance)
    seen = rig.infrared_camera.project(points)[:, :2]
    expected = rig.visible_camera.project(points)[:, :2]
    assert np.allclose(mapped(rig.homography_at(distance), seen), expected, atol=1e-6)


def test_without_parallax_one_homography_maps_every_depth() -> None:
    rig = open_rig(f"synthetic://day?size=320x240&{TURNED}")
    homography = rig.truth(0).homography
    for distance in (3.0, 80.0):
        points = points_at(rig.visible_camera, distance)
        seen = rig.infrared_camera.project(points)[:, :2]
        expected = rig.visible_camera.project(points)[:, :2]
        assert np.allclose(mapped(homography, seen), expected, atol=1e-6)


def test_with_parallax_the_homography_at_infinity_misses_near_points() -> None:
    rig = open_rig("synthetic://night?size=320x240&parallax=0.2")
    points = points_at(rig.visible_camera, 6.0)
    seen = rig.infrared_camera.project(points)[:, :2]
    missed = mapped(rig.truth(0).homography, seen) - rig.visible_camera.project(points)[:, :2]
    # Disparity: focal length times baseline over depth.
    assert np.allclose(missed[:, 0], -rig.visible_camera.focal * 0.2 / 6.0, atol=1e-6)


def test_the_infrared_picture_is_turned_as_its_truth_says() -> None:
    plain = open_rig("synthetic://night?size=320x240&seed=2")
    turned = open_rig("synthetic://night?size=320x240&seed=2&roll=5&yaw=3")
    back = np.linalg.inv(turned.truth(0).homography)
    for box in plain.truth(0).person_boxes:
        centre = np.array([[(box[0] + box[2]) / 2, (box[1] + 2 * box[3]) / 3]])
        column, row = (round(axis) for axis in mapped(back, centre)[0])
        before = plain.clean(0).infrared[round(centre[0, 1]), round(centre[0, 0])]
        after = turned.clean(0).infrared[row, column]
        assert abs(int(before) - int(after)) < 40


def test_rays_and_projection_are_inverse() -> None:
    options = parse_rig(f"synthetic://night?{TURNED}&parallax=0.3&size=32x24")
    for camera in (visible_camera(options), infrared_camera(options)):
        rays = camera.rays(1)
        points = (camera.position + 7.5 * rays).reshape(-1, 3).astype(np.float64)
        rows, columns = np.mgrid[: camera.size[0], : camera.size[1]]
        seen = camera.project(points)
        assert np.allclose(seen[:, 0], columns.ravel(), atol=1e-3)
        assert np.allclose(seen[:, 1], rows.ravel(), atol=1e-3)
        assert np.allclose(seen[:, 2], 7.5, atol=1e-4)


def test_identical_cameras_are_in_register() -> None:
    rig = open_rig("synthetic://night?size=320x240")
    assert np.allclose(rig.truth(0).homography, np.eye(3), atol=1e-12)
    truth = rig.truth(30)
    heat = np.asarray(rig.clean(30).infrared)
    for mask, box in zip(truth.people, truth.person_boxes, strict=True):
        assert box_of(mask) == box
        assert heat[mask].mean() > 120
