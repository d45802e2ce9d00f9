import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.quality.precision_verdict import (
    EQUAL_PSNR,
    GateLimits,
    SpeedFigures,
    compare_frame,
    describe_speed,
    refusals,
    summarise_quality,
)

LIMITS = GateLimits()


@pytest.fixture(scope="module")
def scene():
    return draw_scene(96, 128)


def judge(scene, change, frames=1):
    wanted = np.maximum(scene.visible, scene.infrared)
    return summarise_quality(
        [
            compare_frame(f"frame {n}", scene, wanted, change(wanted.astype(np.float64), n))
            for n in range(frames)
        ]
    )


def plane(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def test_an_equal_picture_passes(scene):
    quality = judge(scene, lambda wanted, n: plane(wanted))
    assert refusals(quality, LIMITS) == ()
    assert (quality.psnr_mean, quality.ssim_mean, quality.shift) == (EQUAL_PSNR, 1.0, 0.0)
    assert set(quality.metrics.values()) == {0.0}


def test_a_darker_picture_is_called_darker(scene):
    quality = judge(scene, lambda wanted, n: plane(wanted * 0.97))
    assert any("darker in the mean" in reason for reason in refusals(quality, LIMITS))
    quality = judge(scene, lambda wanted, n: plane(wanted + 3))
    assert any("brighter in the mean" in reason for reason in refusals(quality, LIMITS))


def test_noise_is_called_noise(scene):
    noise = np.random.default_rng(0).normal(0, 3, (96, 128))
    reasons = refusals(judge(scene, lambda wanted, n: plane(wanted + noise)), LIMITS)
    assert any("AG is" in reason and "higher, which is noise" in reason for reason in reasons)
    assert any("mean PSNR to float32" in reason for reason in reasons)


def test_one_bad_frame_among_good_ones_is_found(scene):
    def change(wanted, number):
        return plane(wanted + (np.indices(wanted.shape).sum(0) % 2 * 16 - 8 if number == 3 else 0))

    quality = judge(scene, change, frames=6)
    assert quality.worst_frame == "frame 3"
    reasons = refusals(quality, LIMITS)
    assert any("the worst frame (frame 3)" in reason for reason in reasons)
    assert not any("mean PSNR" in reason for reason in reasons)


def test_a_blurred_picture_loses_metrics(scene):
    import cv2

    quality = judge(scene, lambda wanted, n: plane(cv2.GaussianBlur(wanted, (0, 0), 1.2)))
    reasons = refusals(quality, LIMITS)
    assert any(reason.startswith("SF is") and "lower" in reason for reason in reasons)


def test_limits_are_limits(scene):
    quality = judge(scene, lambda wanted, n: plane(wanted + 1))
    assert refusals(quality, LIMITS) == ()
    assert refusals(quality, GateLimits(brightness=0.001)) != ()
    assert refusals(quality, GateLimits(psnr_worst=60.0)) != ()


def test_nothing_judged_is_an_error():
    with pytest.raises(UserError, match="at least one"):
        summarise_quality([])


def test_speed_that_nobody_measured_is_said():
    assert describe_speed(None, "tensorrt") == "speed on tensorrt not measured"
    speed = SpeedFigures("x86_64 vnni", "a machine", "640x480", 60, 8.0, 4.0, 5.0, 0.5)
    assert "2.00 times as fast" in describe_speed(speed, "onnxruntime-cpu")
