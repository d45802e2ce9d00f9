"""Drift is measured, followed when it is slow and allowed, and jumps are not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.alignment_rigs import mean_error, rig_for, visible_frame

from mgdn_edge.runtime.alignment.apply.remap import Alignment
from mgdn_edge.runtime.alignment.drift import Check, DriftMonitor, DriftTracker, check_drift
from mgdn_edge.runtime.alignment.drift_figures import DriftFigures, drift_sentence
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.pairing.pairs import Pair
from mgdn_edge.runtime.picture.frame import InfraredFrame


def moved_by(x, y):
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def aligned_pair(frames, homography):
    visible, infrared = frames[0]
    rig = rig_for(homography, visible.shape, infrared.shape)
    target = np.zeros_like(visible)
    Alignment(rig).align_infrared(infrared, np.zeros_like(visible), target)
    return visible, target


@pytest.mark.parametrize("shift", [(0, 0), (4, 0), (-3, 5)])
def test_a_rig_off_by_known_pixels_is_measured(turned_frames, shift):
    frames, truth = turned_frames
    check = check_drift(*aligned_pair(frames, moved_by(*shift) @ truth))
    assert check.believed
    assert check.pixels == pytest.approx(np.hypot(*shift), abs=0.8)
    error = mean_error(
        check.correction @ moved_by(*shift) @ truth, truth, frames[0][1].shape, frames[0][0].shape
    )
    assert error < 1.0


def test_pictures_without_edges_or_relation_are_not_believed(turned_frames, unrelated_frames):
    visible = turned_frames[0][0][0]
    assert check_drift(visible, np.zeros_like(visible)) is None
    other = np.rot90(unrelated_frames[0][0], 2).copy()
    check = check_drift(visible, cv2.resize(other, visible.shape[::-1]))
    assert check is None or not check.believed


def checked(x, y, agreement=0.9):
    return Check(moved_by(x, y), float(np.hypot(x, y)), agreement, 50)


def tracker(*, realign):
    return DriftTracker(Alignment(rig_for(np.eye(3), (150, 200), (150, 200))), realign=realign)


def test_a_slow_drift_is_followed_half_way_each_time():
    follow = tracker(realign=True)
    off = 6.0
    positions = []
    for _ in range(12):
        follow.update(checked(off - follow.alignment.homography[0, 2], 0))
        positions.append(follow.alignment.homography[0, 2])
    assert positions[:2] == [0, 0]  # three checks must agree first
    assert positions[2] == pytest.approx(3, abs=0.1)
    assert off - 1.1 < positions[-1] < off + 0.1  # to within the dead band, never past it
    assert follow.figures.corrections >= 2 and follow.figures.rejected == 0
    assert follow.figures.misalignment_px < 1.1


def test_without_permission_it_only_reports():
    report = tracker(realign=False)
    for _ in range(5):
        assert not report.update(checked(6, 0))
    assert (report.alignment.homography == np.eye(3)).all()
    assert report.figures == DriftFigures(5, 5, 6.0, 0, 0)
    assert "mgdn align" in drift_sentence(report.figures)


def test_jumps_contradictions_and_noise_are_not_followed():
    jumpy = tracker(realign=True)
    for shift in ((0.2, 0), (0.1, 0.3), (9, 0), (0, 0.2), (-8, 0), (0.3, 0)):
        assert not jumpy.update(checked(*shift))
    assert jumpy.figures.rejected >= 2 and jumpy.figures.corrections == 0
    calm = tracker(realign=True)
    for shift in ((0.5, 0), (0.6, 0.1), (0.4, -0.1), (0.5, 0.2)):
        assert not calm.update(checked(*shift))
    doubtful = tracker(realign=True)
    for _ in range(5):
        assert not doubtful.update(checked(6, 0, agreement=0.2))
        assert not doubtful.update(None)
    assert doubtful.figures == DriftFigures(10, 0, None, 0, 0)
    assert "too little in view" in drift_sentence(doubtful.figures)


def test_the_monitor_corrects_a_stream_from_its_own_thread(turned_frames):
    frames, truth = turned_frames
    visible, infrared = frames[0]
    rig = rig_for(moved_by(5, -3) @ truth, visible.shape, infrared.shape)
    monitor = DriftMonitor(Alignment(rig), realign=True, period_ns=10)
    pair = Pair(visible_frame(visible), InfraredFrame(infrared, 0, 0), FrameStamps())
    for number in range(7):
        monitor.see_pair(replace(pair, stamps=FrameStamps(pts_ns=10 * number)))
        monitor.see_pair(replace(pair, stamps=FrameStamps(pts_ns=10 * number + 1)))  # too soon
        figures = monitor.finish()
    assert figures.checks == 7 and figures.corrections >= 2
    shapes = infrared.shape, visible.shape
    assert mean_error(monitor.alignment.homography, truth, *shapes) < 2.5
    assert mean_error(np.array(rig.plane[0].homography), truth, *shapes) > 5
