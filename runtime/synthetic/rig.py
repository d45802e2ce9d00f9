"""Rig: two synthetic cameras over one street, frame by frame, with the truth beside them.

rig = open_rig("synthetic://night?seed=1")
visible, infrared, truth = rig.frame(40)
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mgdn_edge.runtime.picture.colour import JPEG_TAGS
from mgdn_edge.runtime.picture.frame import InfraredFrame, InfraredPlane, Plane, VisibleFrame
from mgdn_edge.runtime.synthetic import sensor
from mgdn_edge.runtime.synthetic.camera import Camera, infrared_camera, visible_camera
from mgdn_edge.runtime.synthetic.camera_clocks import Clocks, random_stream
from mgdn_edge.runtime.synthetic.moving_street import MovingStreet
from mgdn_edge.runtime.synthetic.rig_options import RigOptions, parse_rig
from mgdn_edge.runtime.synthetic.street import build_street
from mgdn_edge.runtime.synthetic.truth import Truth, box_of, find_flat, silhouette_band

VISIBLE_NOISE, INFRARED_NOISE = 11, 12  # salts of the sensors' random streams
NS = 1e9


class CleanPlanes(NamedTuple):
    """(H, W) uint8 visible luma and infrared, uint16 with ``ir_bits=16``: no sensor noise."""

    visible: Plane
    infrared: InfraredPlane


class RigFrame(NamedTuple):
    """What both cameras deliver at one trigger, and what is true of it.

    Frames the truth calls lost are drawn all the same: a source leaves them out.
    """

    visible: VisibleFrame
    infrared: InfraredFrame
    truth: Truth


class Rig:
    """Draws any frame from ``options`` alone; numbers count triggers from 0.

    Frames may be drawn in any order and any number of times: the same number gives the same
    pixels.
    """

    def __init__(self, options: RigOptions) -> None:
        self.options = options
        self.clocks = Clocks(options)
        self.street = build_street(options)
        self.visible_camera: Camera = visible_camera(options)
        self.infrared_camera: Camera = infrared_camera(options)
        self._views: dict[Camera, MovingStreet] = {}

    @property
    def span(self) -> tuple[float, float]:
        """Sensor counts that 8-bit infrared shows as 0 and 255: an --infrared-span."""
        return sensor.counts_span(self.street.look.span)

    def frame(self, number: int) -> RigFrame:
        """Both frames of trigger ``number`` and their truth."""
        return RigFrame(self.visible(number), self.infrared(number), self.truth(number))

    def visible(self, number: int, seq: int | None = None) -> VisibleFrame:
        """The visible frame: full-range BT.601 luma, 4:2:0 chroma."""
        y, chroma = self._expose(number, self.options.noise)
        return VisibleFrame(
            y=y,
            chroma=chroma,
            subsampling=(2, 2),
            tags=JPEG_TAGS,
            pts_ns=self.clocks.visible_pts_ns(number),
            seq=number if seq is None else seq,
        )

    def infrared(self, number: int, seq: int | None = None) -> InfraredFrame:
        """The infrared frame; during an FFC the picture from before it."""
        return InfraredFrame(
            plane=self._sense(number, self.options.noise),
            pts_ns=self.clocks.infrared_pts_ns(number),
            seq=number if seq is None else seq,
        )

    def clean(self, number: int) -> CleanPlanes:
        """Both planes of ``frame(number)`` without any sensor noise."""
        return CleanPlanes(self._expose(number, 0.0)[0], self._sense(number, 0.0))

    def truth(self, number: int) -> Truth:
        """Masks, geometry and times of trigger ``number``."""
        clocks, options = self.clocks, self.options
        seen = self._view(self.visible_camera).instances(clocks.visible_pts_ns(number) / NS)
        clean = self.clean(number)
        person = np.zeros(options.size, np.bool_)
        silhouettes = person.copy()
        for mask in seen.people:
            person |= mask
            silhouettes |= silhouette_band(mask)
        aligned = clean.infrared.shape == clean.visible.shape and options.ir_bits == 8
        infrared = np.asarray(clean.infrared, np.uint8) if aligned else None
        count, labels = cv2.connectedComponents(
            cv2.dilate(seen.text.astype(np.uint8), np.ones((1, 25), np.uint8))
        )
        words = [seen.text & (labels == label) for label in range(1, count)]
        return Truth(
            person=person,
            people=seen.people,
            person_boxes=[box_of(mask) for mask in seen.people],
            text=seen.text,
            words=words,
            vehicle=seen.vehicle,
            lamp=seen.lamp,
            smoke=seen.smoke,
            flat=find_flat(clean.visible, infrared),
            silhouettes=silhouettes,
            homography=self.infrared_camera.homography_to(self.visible_camera),
            visible_time_ns=clocks.visible_pts_ns(number),
            infrared_time_ns=clocks.infrared_time_ns(number),
            clock_rate=clocks.rate_ratio,
            clock_offset_ns=options.offset * 1e6,
            infrared_gain=clocks.gain(number),
            visible_lost=clocks.visible_lost(number),
            infrared_lost=clocks.infrared_lost(number),
            infrared_frozen=clocks.shown(number) != number,
        )

    def homography_at(self, metres: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """(3, 3) infrared -> visible pixels for things ``metres`` ahead of the visible camera."""
        return self.infrared_camera.homography_to(self.visible_camera, metres)

    def _view(self, camera: Camera) -> MovingStreet:
        if camera not in self._views:
            asked = self.options.smoke
            density = self.street.look.smoke if asked is None else asked
            self._views[camera] = MovingStreet(self.street, camera, density)
        return self._views[camera]

    def _expose(self, number: int, noise: float) -> tuple[Plane, tuple[Plane, Plane]]:
        radiance = self._view(self.visible_camera).radiance(self.clocks.visible_pts_ns(number) / NS)
        random = random_stream(self.options, VISIBLE_NOISE, number)
        pixels = sensor.expose_visible(
            radiance, self.street.look.electrons, noise, self.options.seed, random
        )
        y, cr, cb = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_BGR2YCrCb))
        return np.asarray(y, np.uint8), (_halve(np.asarray(cb)), _halve(np.asarray(cr)))

    def _sense(self, number: int, noise: float) -> InfraredPlane:
        shown = self.clocks.shown(number)
        time_ns = self.clocks.infrared_time_ns(number)
        heat = sensor.blur_lens(self._view(self.infrared_camera).heat(time_ns / NS))
        if noise:
            random = random_stream(self.options, INFRARED_NOISE, shown)
            sensor.add_infrared_noise(heat, self.options.seed, noise, random)
        gain, offset = self.clocks.gain(shown)
        low, high = self.street.look.span
        middle = np.float32((low + high) / 2)
        if (gain, offset) != (1.0, 0.0):
            heat = np.asarray((heat - middle) * np.float32(gain) + middle + offset, np.float32)
        return sensor.read_infrared(heat, (low, high), self.options.ir_bits)


def open_rig(uri: str) -> Rig:
    """``synthetic://SCENE?name=value&...`` -> Rig; raises UserError for a wrong URI."""
    return Rig(parse_rig(uri))


def _halve(plane: Plane) -> Plane:
    """(H, W) uint8 -> (ceil(H / 2), ceil(W / 2)) uint8: means of 2x2, edges repeated."""
    height, width = plane.shape
    even = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    half = (-(-width // 2), -(-height // 2))
    return np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), np.uint8)
