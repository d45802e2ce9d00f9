"""Point pairs: files, models, mistakes."""

import json

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.alignment.measure.point_pairs import fit_points, read_points, transfer_errors
from mgdn_edge.runtime.errors import UserError

PERSPECTIVE = np.array([[1.9, 0.06, -40], [-0.03, 2.1, 25], [1.2e-4, -8e-5, 1]])


def pairs(homography, count=12, noise=0.0, seed=0):
    draw = np.random.default_rng(seed)
    infrared = draw.uniform((0, 0), (256, 192), (count, 2))
    visible = cv2.perspectiveTransform(infrared[None], homography)[0]
    return visible + draw.normal(0, noise, visible.shape), infrared


def test_exact_points_give_the_homography_back():
    fit = fit_points(*pairs(PERSPECTIVE))
    assert fit.model == "homography" and fit.outliers == []
    assert np.allclose(fit.homography / fit.homography[2, 2], PERSPECTIVE, atol=1e-5)
    assert fit.error_px < 1e-3


def test_noisy_points_take_the_simplest_model_that_predicts():
    zoom = np.array([[2.0, 0.1, 5], [-0.1, 2.0, 7], [0, 0, 1.0]])
    visible, infrared = pairs(zoom, 8, noise=1.5)
    fit = fit_points(visible, infrared)
    assert fit.model == "similarity"
    probe, there = pairs(zoom, 50, seed=1)
    assert transfer_errors(fit.homography, probe, there).mean() < 2.0
    # What it says of itself is what a new point finds.
    assert 0.5 < fit.error_px < 4.0


@pytest.mark.parametrize("count", [4, 5, 6])
def test_few_points_still_measure_their_error(count):
    fit = fit_points(*pairs(np.diag([2.0, 2.0, 1.0]), count, noise=0.5))
    assert np.isfinite(fit.error_px) and fit.error_px > 0


def test_a_wrong_click_is_left_out_and_named():
    visible, infrared = pairs(PERSPECTIVE, 10, noise=0.5)
    visible[3] += (60, -25)
    fit = fit_points(visible, infrared)
    assert fit.outliers == [3]
    clean, there = pairs(PERSPECTIVE, 40, seed=2)
    assert transfer_errors(fit.homography, clean, there).mean() < 2.0


def test_too_few_straight_or_contradicting_points_are_refused():
    visible, infrared = pairs(PERSPECTIVE, 12)
    with pytest.raises(UserError, match="3 point pairs were given, at least 4"):
        fit_points(visible[:3], infrared[:3])
    line = np.column_stack([np.arange(6.0), 2 * np.arange(6.0)])
    with pytest.raises(UserError, match="lie on one line"):
        fit_points(visible[:6], line)
    with pytest.raises(UserError, match="lie on one line or spot"):
        fit_points(np.zeros((6, 2)), infrared[:6])
    draw = np.random.default_rng(3)
    with pytest.raises(UserError, match="point pairs fit one motion"):
        fit_points(
            draw.uniform(0, 500, (14, 2)),
            infrared[:12].repeat(2, 0)[:14] + draw.uniform(0, 90, (14, 2)),
        )


CSV = "x_vis,y_vis,x_ir,y_ir\n1,2,3,4\n5,6.5,7,8\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", CSV),
        ("p.csv", "\ufeff" + CSV),
        ("p.csv", "1,2,3,4\n\n5,6.5,7,8\n"),
        ("p.csv", "x_ir,y_ir,x_vis,y_vis,note\n3,4,1,2,door\n7,8,5,6.5,\n"),
        ("p.csv", "vi_x,vi_y,ir_x,ir_y\n1,2,3,4\n5,6.5,7,8\n"),
        ("p.json", json.dumps([[1, 2, 3, 4], [5, 6.5, 7, 8]])),
        ("p.json", json.dumps([{"x_ir": 3, "y_ir": 4, "x_vis": 1, "y_vis": 2}, [5, 6.5, 7, 8]])),
    ],
)
def test_points_are_read_however_they_are_written(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    visible, infrared = read_points(tmp_path / name)
    assert visible.tolist() == [[1, 2], [5, 6.5]] and infrared.tolist() == [[3, 4], [7, 8]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", "x_vis,y_vis,x_ir,y_ir\n1,2,3\n", "point 1"),
        ("p.csv", "1,2,3,4\n1,2,3,nan\n", "point 2.*not finite"),
        ("p.csv", "a,b\n1,2\n", "point 1"),
        ("p.json", "{}", "does not hold a list"),
        ("p.json", "[[1, 2, 3, 4", "is not JSON"),
        ("p.json", '[{"x_vis": 1}]', "point 1"),
        ("p.json", '[["a", 2, 3, 4]]', "point 1"),
    ],
)
def test_wrong_files_name_the_row(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_points(tmp_path / name)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot read --points"):
        read_points(tmp_path / "none.csv")


@pytest.mark.data
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("stem", ["01", "03", "04", "05", "07", "08", "09", "10"])
def test_half_the_landmarks_predict_the_other_half(shared, stem, first):
    folder = shared / "data" / "unregistered" / "vis_ir_landmarks" / "landmarks"
    visible, infrared = read_points(folder / f"{stem}.csv")
    fit = fit_points(visible[first::2], infrared[first::2])
    others = slice(1 - first, None, 2)
    assert transfer_errors(fit.homography, visible[others], infrared[others]).mean() < 1.5
