"""Drift: is the rig still right? Asked beside the stream, now and then, on a thread of its own.

A check brings one pair onto the working grid as the stream does and lets parts of the picture
vote (refine.py). Its answer is believed only where enough parts agree. Corrections, where they
are allowed, follow the median of three believed checks that agree with each other, half way
each time; a sudden large move is reported, never followed.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.choose_view import picture_outline
from mgdn_edge.runtime.alignment.apply.registration import RegisteredPair
from mgdn_edge.runtime.alignment.apply.remap import Alignment, working_from_visible
from mgdn_edge.runtime.alignment.apply.rig_file import Matrix, is_usable
from mgdn_edge.runtime.alignment.drift_figures import DriftFigures
from mgdn_edge.runtime.pairing.pairs import Pair
from mgdn_edge.runtime.picture.frame import Plane

Float64s = npt.NDArray[np.float64]

PERIOD_NS = 5_000_000_000  # of the recording: a check takes 0.2 to 0.5 s of one core
WIDTH = 224  # pixels of the longer side at which parts are compared
RADIUS = 12  # of these pixels: 5 % of the picture, beyond which nothing is looked for
NEAR = 3.0
LEAST_AGREEMENT, FEWEST_PARTS = 0.45, 12
REMEMBERED = 3  # checks that must agree before a correction
UNSTABLE = 0.012  # of the working width: checks farther apart contradict each other
DEAD_BAND = 1.0  # working pixels: less is measurement noise
STEP = 0.5  # share of the way a correction goes


@dataclass(frozen=True)
class Check:
    """``correction`` (3, 3) takes working pixels where infrared lies to where it should lie;
    ``pixels`` is its mean size on the working grid, ``agreement`` the share of parts behind it.
    """

    correction: Matrix
    pixels: float
    agreement: float
    parts: int

    @property
    def believed(self) -> bool:
        """Whether enough of the picture says so."""
        return self.agreement >= LEAST_AGREEMENT and self.parts >= FEWEST_PARTS


def check_drift(visible: Plane, infrared: Plane) -> Check | None:
    """(H, W) uint8 working luma, (H, W) uint8 aligned infrared, 0 where it does not reach.

    None where there are too few edges to compare.
    """
    from mgdn_edge.runtime.alignment.measure.automatic import fit_once
    from mgdn_edge.runtime.alignment.measure.refine import Level

    level = Level([(visible, infrared)], WIDTH)
    correction = np.eye(3)
    for radius in (RADIUS, RADIUS // 2):
        answer = fit_once(level, correction, radius)
        if answer is None:
            return None
        correction = answer.homography
    votes = level.votes(correction, RADIUS)
    if not len(votes.centres):
        return None
    places = cv2.perspectiveTransform(votes.centres[None], np.linalg.inv(level.to_level))[0]
    # Votes are cast where infrared lies after the correction: back to where it lay.
    before = cv2.perspectiveTransform(places[None], np.linalg.inv(correction))[0]
    return Check(
        correction=correction,
        pixels=float(np.linalg.norm(places - before, axis=1).mean()),
        agreement=float((np.linalg.norm(votes.shifts, axis=1) < NEAR).mean()),
        parts=len(votes.centres),
    )


class DriftTracker:
    """Follows the checks of one stream; ``realign`` allows corrections. One thread's."""

    def __init__(self, alignment: Alignment, *, realign: bool) -> None:
        self.alignment = alignment
        self._realign = realign
        self._recent: deque[Float64s] = deque(maxlen=REMEMBERED)
        self._unstable = UNSTABLE * alignment.size[1]
        self._checks = self._believed = self._corrections = self._rejected = 0

    @property
    def figures(self) -> DriftFigures:
        """What was found so far."""
        off = None
        if self._recent:
            off = round(_distance(np.median(self._recent, axis=0), self._corners()), 2)
        return DriftFigures(
            checks=self._checks,
            believed=self._believed,
            misalignment_px=off,
            corrections=self._corrections,
            rejected=self._rejected,
        )

    def update(self, check: Check | None) -> bool:
        """Take one check in; True where ``alignment`` became a corrected one."""
        self._checks += 1
        if check is None or not check.believed:
            return False
        self._believed += 1
        lie = self._corners()
        wanted = cv2.perspectiveTransform(lie[None], check.correction)[0]
        self._recent.append(np.asarray(wanted, np.float64))
        if not self._realign or len(self._recent) < REMEMBERED:
            return False
        middle = np.median(self._recent, axis=0)
        if max(_distance(place, middle) for place in self._recent) > self._unstable:
            self._rejected += 1
            return False
        if _distance(middle, lie) < DEAD_BAND:
            return False
        target = lie + STEP * (middle - lie)
        size = self.alignment.rig.infrared.size
        step = cv2.getPerspectiveTransform(
            picture_outline(size).astype(np.float32), target.astype(np.float32)
        )
        homography = np.linalg.inv(working_from_visible(self.alignment.rig)) @ step
        if not is_usable(homography, size):
            self._rejected += 1
            return False
        self.alignment = Alignment(self.alignment.rig, homography=homography)
        self._corrections += 1
        return True

    def _corners(self) -> Float64s:
        """(4, 2) working pixels where the infrared picture's corners lie now."""
        to_working = working_from_visible(self.alignment.rig) @ self.alignment.homography
        corners = picture_outline(self.alignment.rig.infrared.size)
        return np.asarray(cv2.perspectiveTransform(corners[None], to_working)[0], np.float64)


def _distance(first: Float64s, second: Float64s) -> float:
    return float(np.linalg.norm(first - second, axis=1).mean())


class DriftMonitor:
    """Observes a stream: checks the newest pair on its own thread; a busy monitor takes none.

    The stream pays for a comparison of time stamps. ``alignment`` is the one to use now: a new
    object after each correction.
    """

    def __init__(self, alignment: Alignment, *, realign: bool, period_ns: int = PERIOD_NS) -> None:
        self._tracker = DriftTracker(alignment, realign=realign)
        self._period_ns = period_ns
        self._due_ns: int | None = None
        self._worker: threading.Thread | None = None

    @property
    def alignment(self) -> Alignment:
        """The rig's, or its latest correction; from any thread."""
        return self._tracker.alignment

    def see_pair(self, pair: Pair) -> None:
        """Check this pair if it is time and the last check is done."""
        now = pair.stamps.pts_ns
        if self._due_ns is not None and now < self._due_ns:
            return
        if self._worker is not None and self._worker.is_alive():
            return
        self._due_ns = now + self._period_ns
        self._worker = threading.Thread(target=self._check, args=(pair,), name="mgdn-drift")
        self._worker.start()

    def see_fused(self, fused: Plane) -> None:
        """Nothing to see here."""

    def see_written(self, pair: RegisteredPair) -> None:
        """Nor here."""

    def finish(self) -> DriftFigures:
        """Wait for the check in progress; what all of them found."""
        if self._worker is not None:
            self._worker.join()
        return self._tracker.figures

    def _check(self, pair: Pair) -> None:
        alignment = self._tracker.alignment
        visible = alignment.align_visible(pair.visible).y
        infrared = np.zeros_like(visible)
        alignment.align_infrared(pair.infrared.plane, np.zeros_like(visible), infrared)
        self._tracker.update(check_drift(visible, infrared))
