"""Both pictures on the working grid: geometry, chroma, borders, lenses."""

import cv2
import msgspec
import numpy as np
import pytest
from support.alignment_rigs import rig_for, visible_frame

from mgdn_edge.runtime.alignment.apply.choose_view import choose_view, covered_share
from mgdn_edge.runtime.alignment.apply.registration import open_alignment
from mgdn_edge.runtime.alignment.apply.remap import Alignment, working_from_visible
from mgdn_edge.runtime.alignment.apply.rig_file import CameraModel
from mgdn_edge.runtime.errors import UserError

TURNED = np.array([[0.8, 0.05, 30], [-0.04, 0.82, 20], [5e-5, -3e-5, 1]])


def ramp(height, width):
    rows, columns = np.mgrid[:height, :width]
    return ((columns + rows) / (height + width) * 255).astype(np.uint8)


def exact_infrared(rig, plane, visible):
    """The slow twin: every pixel by itself, in floating point."""
    back = np.linalg.inv(working_from_visible(rig) @ rig.homography())
    out = visible.copy()
    height, width = plane.shape
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x, y, w = back @ [column, row, 1]
            x, y = x / w, y / w
            if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                continue
            x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
            x0, y0 = min(int(x), width - 2), min(int(y), height - 2)
            fx, fy = x - x0, y - y0
            square = plane[y0 : y0 + 2, x0 : x0 + 2].astype(float)
            out[row, column] = np.rint([1 - fy, fy] @ square @ [1 - fx, fx])
    return out


@pytest.mark.parametrize("request_", [{}, {"area": "crop"}, {"working_size": (40, 50)}])
def test_the_remap_equals_its_slow_twin(request_):
    rig = rig_for(TURNED, (75, 97), (48, 64), **request_)
    alignment = Alignment(rig)
    infrared = ramp(48, 64)
    visible = alignment.align_visible(visible_frame(ramp(75, 97)[::-1].copy())).y
    target = np.full(alignment.size, 7, np.uint8)
    alignment.align_infrared(infrared, visible, target)
    wanted = exact_infrared(rig, infrared, visible)
    # OpenCV's fixed-point maps hold 1/32 pixel: less than a level of this ramp.
    off = np.abs(target.astype(int) - wanted) > 1
    assert off.mean() < 0.01  # border pixels on the edge of inside
    assert alignment.covers_all == (request_.get("area") == "crop")


def test_a_wrong_homography_would_be_noticed():
    rig, other = (rig_for(m, (75, 97), (48, 64)) for m in (TURNED, TURNED + np.eye(3) * 0.1))
    visible = ramp(75, 97)
    target = np.empty_like(visible)
    Alignment(other).align_infrared(ramp(48, 64), visible, target)
    assert (
        np.abs(target.astype(int) - exact_infrared(rig, ramp(48, 64), visible)) > 1
    ).mean() > 0.1


def test_where_infrared_does_not_reach_the_visible_picture_stands():
    rig = rig_for([[1, 0, 40], [0, 1, 0], [0, 0, 1]], (60, 80), (60, 80))
    visible, target = ramp(60, 80), np.empty((60, 80), np.uint8)
    Alignment(rig).align_infrared(np.full((60, 80), 200, np.uint8), visible, target)
    assert (target[:, :40] == visible[:, :40]).all() and (target[:, 40:] == 200).all()
    assert rig.quality.coverage == pytest.approx(0.5, abs=0.01)


def test_uncut_pictures_are_not_copied():
    rig = rig_for(np.eye(3), (21, 33), (21, 33))
    chroma = tuple(np.full((11, 17), level, np.uint8) for level in (3, 4))
    frame = visible_frame(ramp(21, 33), chroma, (2, 2))
    aligned = Alignment(rig).align_visible(frame)
    assert np.shares_memory(aligned.y, frame.y) and np.shares_memory(aligned.chroma[0], chroma[0])
    assert aligned.y.shape == (21, 33) and aligned.chroma[0].shape == (11, 17)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_chroma_is_cut_and_scaled_with_luma(subsampling):
    across, down = subsampling
    rig = rig_for([[1, 0, 8], [0, 1, 6], [0, 0, 1]], (72, 96), (48, 64), area="crop")
    left, top, width, height = rig.view
    assert left % 2 == top % 2 == 0 and (height, width) == rig.working_size
    y = ramp(72, 96)
    u = y[::down, ::across].copy()
    cut = Alignment(rig).align_visible(visible_frame(y, (u, u), subsampling))
    assert (cut.y == y[top : top + height, left : left + width]).all()
    assert (cut.chroma[0] == cut.y[::down, ::across]).all()
    halved = (width // 2 // 2 * 2, height // 2 // 2 * 2)
    half = msgspec.structs.replace(rig, working_width_height=halved)
    small = Alignment(half).align_visible(visible_frame(y, (u, u), subsampling))
    assert small.chroma[0].shape == (-(-small.y.shape[0] // down), -(-small.y.shape[1] // across))
    grown = cv2.resize(small.chroma[0], small.y.shape[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(grown.astype(int) - small.y).mean() < 5


def test_much_larger_infrared_is_averaged_not_sampled():
    noise = np.random.default_rng(0).integers(0, 2, (480, 640)).astype(np.uint8) * 255
    rig = rig_for(np.diag([0.125, 0.125, 1.0]), (60, 80), (480, 640))
    visible, target = np.zeros((60, 80), np.uint8), np.empty((60, 80), np.uint8)
    Alignment(rig).align_infrared(noise, visible, target)
    inner = target[2:-2, 2:-2].astype(float)
    assert abs(inner.mean() - 127.5) < 3 and inner.std() < 20  # 64 samples a pixel


def test_lens_distortion_of_both_cameras_is_undone():
    lens = ((90.0, 0.0, 63.5), (0.0, 90.0, 47.5), (0.0, 0.0, 1.0))
    coefficients = (-0.25, 0.06, 0.002, -0.001, 0.0)
    straight = np.full((96, 128), 60, np.uint8)
    straight[:, ::16] = 220
    straight[::16] = 220
    straight = cv2.GaussianBlur(straight, (0, 0), 1.2)
    # A distorted picture shows at p what lies at undistort(p).
    rows, columns = np.mgrid[:96, :128].astype(np.float32)
    places = np.stack([columns, rows], -1).reshape(-1, 1, 2)
    back = cv2.undistortPoints(places, np.array(lens), np.array(coefficients), P=np.array(lens))
    bent = cv2.remap(straight, back[:, 0, 0].reshape(96, 128), back[:, 0, 1].reshape(96, 128), 1)
    model = CameraModel((128, 96), lens, coefficients)
    rig = msgspec.structs.replace(
        rig_for(np.eye(3), (96, 128), (96, 128)), visible=model, infrared=model
    )
    alignment = Alignment(rig)
    u = cv2.resize(bent, (64, 48), interpolation=cv2.INTER_AREA)
    aligned = alignment.align_visible(visible_frame(bent, (u, u), (2, 2)))
    target = np.empty((96, 128), np.uint8)
    alignment.align_infrared(bent, aligned.y, target)

    def off(picture, wanted=straight):
        rows, columns = wanted.shape[0] // 8, wanted.shape[1] // 8
        inner = (slice(rows, -rows), slice(columns, -columns))
        return np.abs(picture[inner].astype(int) - wanted[inner]).mean()

    assert off(aligned.y) < 0.3 * off(bent) and off(target) < 0.3 * off(bent)
    half = cv2.resize(straight, (64, 48), interpolation=cv2.INTER_AREA)
    assert off(aligned.chroma[0], half) < 0.5 * off(u, half)


def test_one_pixel_cameras_do_not_crash():
    rig = rig_for(np.eye(3), (1, 1), (1, 1))
    target = np.empty((1, 1), np.uint8)
    alignment = Alignment(rig)
    alignment.align_infrared(np.full((1, 1), 9, np.uint8), np.zeros((1, 1), np.uint8), target)
    assert target[0, 0] == 9


def test_frames_of_other_cameras_are_refused():
    alignment = Alignment(rig_for(np.eye(3), (48, 64), (24, 32)))
    alignment.check_sizes((48, 64), (24, 32))
    with pytest.raises(UserError, match=r"infrared is 64x48, the rig was measured with 32x24"):
        alignment.check_sizes((48, 64), (48, 64))


def test_options_that_clash(tmp_path):
    assert open_alignment(None, None) is None
    with pytest.raises(UserError, match="pass --rig"):
        open_alignment(None, 5.0)
    with pytest.raises(UserError, match="pass one of them"):
        open_alignment(tmp_path / "rig.toml", None, resize=True)


@pytest.mark.parametrize("turn", [0, 3, 9])
def test_a_cropped_view_lies_wholly_in_both_pictures(turn):
    spin = np.vstack([cv2.getRotationMatrix2D((100, 80), turn, 1.3), [0, 0, 1]])
    view, working = choose_view(spin, (200, 300), (160, 200), "crop", None)
    assert view[:1:-1] == working and all(side % 8 == 0 for side in working)
    assert covered_share(spin, view, (160, 200)) == pytest.approx(1, abs=1e-3)
    # Nothing of that shape and clearly larger fits.
    wider = (view[0] - 8, view[1] - 8, view[2] + 16, view[3] + 16)
    assert covered_share(spin, wider, (160, 200)) < 0.99 or wider[0] < 0 or wider[1] < 0


def test_views_shaped_like_a_working_size():
    view, working = choose_view(np.eye(3), (1080, 1920), (192, 256), "fill", (480, 640))
    assert working == (480, 640) and view == (240, 0, 1440, 1080)
    with pytest.raises(UserError, match="share too little"):
        choose_view(
            np.array([[1, 0, 295.0], [0, 1, 0], [0, 0, 1]]), (200, 300), (48, 64), "crop", None
        )
