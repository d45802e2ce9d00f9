"""How a difference is shown: its largest is white, whatever it is, and a lone pixel is seen."""

import base64

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.report.pictures import picture_difference


def decode(picture):
    data = base64.b64decode(picture.source.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    ("level", "label"),
    [
        (0, "no pixel differs"),
        (1, "difference x 255, at most 1 levels"),
        (200, "difference x 1.27, at most 200 levels"),
    ],
)
def test_the_largest_difference_is_white(level, label):
    wanted = np.zeros((9, 700), np.uint8)
    got = wanted.copy()
    got[4, 350] = level
    for one, other in ((got, wanted), (wanted, got)):
        picture = picture_difference(one, other, "their difference")
        assert picture.label == label
        assert (decode(picture).max() > 200) == (level > 0)


def test_nan_counts_as_the_largest():
    got = np.array([[np.nan, 3.0], [0.0, 0.0]])
    picture = picture_difference(got, np.zeros((2, 2)), "their difference")
    assert picture.label == "difference x 1, at most 255 levels"
    shown = decode(picture)
    assert shown[0, 0] > 240 and shown[-1, -1] < 15
