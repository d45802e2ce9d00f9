"""The rig file: written, read back, edited wrongly."""

import msgspec
import numpy as np
import pytest
from support.alignment_rigs import rig_for

from mgdn_edge.runtime.alignment.apply.rig_file import (
    CameraModel,
    PlaneHomography,
    Pose,
    plane_homography,
    read_rig,
)
from mgdn_edge.runtime.alignment.apply.rig_text import rig_text, write_rig
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.synthetic import open_rig

ROWS = ((2.0, 1e-17, -3.123456789012345), (0.1, 2.0, 1 / 3), (1e-7, 0.0, 1.0))


def full_rig():
    lens = ((500.0, 0.0, 320.0), (0.0, 501.0, 240.0), (0.0, 0.0, 1.0))
    return msgspec.structs.replace(
        rig_for(ROWS, (480, 640), (192, 256)),
        visible=CameraModel((640, 480), lens, (-0.1, 0.02, 1e-4, -2e-4, 0.0)),
        plane=(PlaneHomography(ROWS), PlaneHomography(ROWS, 3.5)),
        pose=Pose(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), (0.05, 0.0, 0.0)),
        clock_offset_ms=-12.5,
    )


@pytest.mark.parametrize("make", [full_rig, lambda: rig_for(ROWS, (480, 640), (192, 256))])
def test_a_rig_reads_back_to_the_last_digit(tmp_path, make):
    write_rig(tmp_path / "rig.toml", make())
    assert read_rig(tmp_path / "rig.toml") == make()


def rig_measured_on(words):
    rig = full_rig()
    return msgspec.structs.replace(
        rig, quality=msgspec.structs.replace(rig.quality, error_from=words)
    )


@pytest.mark.parametrize(
    "words",
    [
        'the "north" gate',
        "C:\\rigs\\new",
        "two\nlines\t#",
        "wärme\x7f\x00",
        "[\n1,\n]",
        "view = [1] # x",
    ],
)
def test_any_text_in_a_rig_reads_back(tmp_path, words):
    write_rig(tmp_path / "rig.toml", rig_measured_on(words))
    assert read_rig(tmp_path / "rig.toml") == rig_measured_on(words)


def test_the_file_tells_a_reader_what_its_numbers_are():
    text = rig_text(full_rig())
    assert text.startswith("# ") and 'area = "fill" # fill: all the visible camera sees' in text
    assert "\nview = [0, 0, 640, 480] # the part of the visible picture" in text
    assert "\ndistortion = [-0.1, 0.02, 0.0001, -0.0002, 0.0] # k1, k2, p1, p2, k3\n" in text
    assert "\nhomography = [\n    [2.0, 1e-17, -3.123456789012345],\n" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"mgdn.rig/1"', '"mgdn.rig/2"', "this version reads"),
        ("working_size = [640, 480]", "working_size = [640, 0]", "not the size of a picture"),
        ("working_size = [640, 480]", "working_size = [640]", "working_size"),
        ("working_size = [640, 480]", "working_size = [99999, 480]", "not the size of a picture"),
        ("view = [0, 0, 640, 480]", "view = [8, 0, 640, 480]", "not inside"),
        ("[[plane]]", "[[planes]]", "planes"),
        ("homography = [", "homography = [1,", "homography"),
        ("1e-07", "-1.0", "inside out"),
        ("  [2.0,", "  [nan,", "inside out"),
        ("[quality]", "[quality", "is not TOML"),
        ('method = "points"', 'method = "magic"', "magic"),
        ("distance_m = 3.5", "distance_m = -3.5", "not above 0"),
        ("matrix = [", "matrix2 = [", "matrix2"),
    ],
)
def test_a_wrong_edit_is_one_sentence_with_the_cure(tmp_path, old, new, message):
    text = rig_text(full_rig())
    assert old in text
    (tmp_path / "rig.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as error:
        read_rig(tmp_path / "rig.toml")
    assert "mgdn align" in str(error.value)


def test_a_file_that_is_not_text_or_not_there(tmp_path):
    (tmp_path / "rig.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not TOML"):
        read_rig(tmp_path / "rig.toml")
    with pytest.raises(UserError, match="cannot read the rig"):
        read_rig(tmp_path / "none.toml")


def test_the_plane_nearest_in_inverse_distance_is_taken():
    far, near = np.eye(3), np.array([[1.0, 0, 9], [0, 1, 0], [0, 0, 1]])
    rig = msgspec.structs.replace(
        rig_for(far, (48, 64), (48, 64)),
        plane=(PlaneHomography(rig_rows(far)), PlaneHomography(rig_rows(near), 2.0)),
    )
    assert rig.homography()[0, 2] == 0
    assert rig.homography(100.0)[0, 2] == 0  # 1/100 is nearer to 0 than to 1/2
    assert rig.homography(3.0)[0, 2] == 9
    with pytest.raises(UserError, match="--distance -1"):
        rig.homography(-1.0)


def rig_rows(matrix):
    return tuple(tuple(float(v) for v in row) for row in matrix)


def test_pose_and_lenses_give_the_homography_of_a_distance():
    rig = open_rig("synthetic://day?size=320x240&ir_size=160x120&ir_fov=50&parallax=0.3&roll=2")
    visible, infrared = rig.visible_camera, rig.infrared_camera
    turn = visible.rotation @ infrared.rotation.T
    shift = visible.rotation @ (infrared.position - visible.position)
    pose = Pose(rig_rows(turn), tuple(shift.tolist()))
    for metres in (4.0, 30.0):
        got = plane_homography(
            rig_rows(visible.intrinsics), rig_rows(infrared.intrinsics), pose, metres
        )
        # The drawn rig measures along the visible axis, the rig file along the infrared one:
        # with the axes parallel both are one plane.
        assert np.allclose(got, rig.homography_at(metres), atol=0.02)
