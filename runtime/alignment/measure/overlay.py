"""The overlay: a picture in which a person sees whether a rig is right."""

from __future__ import annotations

import cv2
import numpy as np

from mgdn_edge.runtime.alignment.apply.remap import Alignment
from mgdn_edge.runtime.alignment.apply.rig_file import CameraRig
from mgdn_edge.runtime.alignment.measure.alignment_pairs import AlignmentPair
from mgdn_edge.runtime.picture.colour import Pixels

SQUARES = 8  # across the wider side


def draw_overlay(rig: CameraRig, pair: AlignmentPair) -> Pixels:
    """(H, 2 W, 3) uint8 BGR: infrared red over visible cyan, and both as a checkerboard.

    Edges that meet are grey on the left and unbroken on the right.
    """
    alignment = Alignment(rig)
    visible = alignment.align_visible(pair.visible).y
    infrared = np.empty_like(visible)
    alignment.align_infrared(pair.infrared, visible, infrared)
    coloured = np.stack([visible, visible, infrared], axis=2)
    height, width = visible.shape
    square = max(8, max(height, width) // SQUARES)
    rows, columns = np.mgrid[:height, :width] // square
    board = np.where((rows + columns) % 2 == 0, visible, infrared)
    both = np.hstack([coloured, np.repeat(board[:, :, None], 3, axis=2)])
    return np.asarray(both, np.uint8)


def encode_overlay(rig: CameraRig, pair: AlignmentPair) -> bytes:
    """The overlay as a PNG file."""
    return cv2.imencode(".png", draw_overlay(rig, pair))[1].tobytes()
