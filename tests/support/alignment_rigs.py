"""Rigs, frames and the measure of error that several tests share."""

import cv2
import numpy as np

from mgdn_edge.runtime.alignment.measure.align import RigRequest, make_rig
from mgdn_edge.runtime.alignment.measure.alignment_pairs import AlignmentPair
from mgdn_edge.runtime.alignment.measure.measured_geometry import MeasuredGeometry, rows_of
from mgdn_edge.runtime.picture.colour import JPEG_TAGS
from mgdn_edge.runtime.picture.frame import VisibleFrame


def visible_frame(y, chroma=None, subsampling=(1, 1)):
    return VisibleFrame(y, chroma, subsampling, JPEG_TAGS, pts_ns=0, seq=0)


def frame_pair(visible_size, infrared_size, seed=0):
    """Random pictures of (height, width) sizes."""
    draw = np.random.default_rng(seed)
    visible = draw.integers(0, 256, visible_size, np.uint8)
    return AlignmentPair(visible_frame(visible), draw.integers(0, 256, infrared_size, np.uint8))


def rig_for(homography, visible_size, infrared_size, **request):
    measured = MeasuredGeometry(
        "points", rows_of(np.asarray(homography, float)), 0.5, "4 points", 4
    )
    return make_rig(measured, frame_pair(visible_size, infrared_size), RigRequest(**request))


def mean_error(homography, truth, infrared_shape, visible_shape):
    """Mean distance over a grid of infrared pixels that the visible camera sees."""
    rows, columns = np.mgrid[0 : infrared_shape[0] - 1 : 9j, 0 : infrared_shape[1] - 1 : 9j]
    places = np.stack([columns, rows], -1).reshape(1, -1, 2)
    wanted = cv2.perspectiveTransform(places, truth)[0]
    seen = ((wanted >= 0) & (wanted < visible_shape[::-1])).all(1)
    got = cv2.perspectiveTransform(places, homography)[0]
    return float(np.linalg.norm(got - wanted, axis=1)[seen].mean())
