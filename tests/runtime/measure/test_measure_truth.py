"""Each measure can fail: a network that does the wrong thing gets the wrong figure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session import Session, Slot
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.measure.evaluate import evaluate_networks, mean_quality
from mgdn_edge.runtime.measure.measure_truth import (
    CONTRAST_FLOOR,
    NOISE_GAIN_CEILING,
    OVERSHOOT_CEILING,
    contrasts_kept,
    measure_truth,
    noise_gain,
    overshoot,
)
from mgdn_edge.runtime.measure.truth_quality import TruthQuality
from mgdn_edge.runtime.synthetic import Rig, open_rig

FRAMES = (10, 60)
Fusion = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Fused(Session):
    """A session around a function of two planes."""

    network, backend, variant, precision = "test", "test", "test", "test"

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self._fusion = fusion

    def check_size(self, size: tuple[int, int]) -> None:
        """Every size will do."""

    def submit(self, slot: Slot) -> None:
        slot.fused[...] = self._fusion(slot.visible, slot.infrared)

    def collect(self, slot: Slot) -> None:
        """Done by submit."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def rig() -> Rig:
    return open_rig("synthetic://night?seed=1&size=320x240&frames=100")


def measured(rig: Rig, fusion: Fusion) -> TruthQuality:
    return measure_truth(Fused(fusion), rig, FRAMES)


@contextmanager
def baseline(name: str) -> Iterator[Session]:
    session = open_session(name)
    try:
        yield session
    finally:
        session.close()


def test_copying_the_better_source_keeps_everything(rig: Rig) -> None:
    copied = measured(rig, lambda visible, infrared: infrared)
    assert copied.person_contrast == pytest.approx(1) and copied.overshoot == 0
    assert copied.text_contrast is not None and copied.text_contrast < 0.15
    copied = measured(rig, lambda visible, infrared: visible)
    assert copied.text_contrast == pytest.approx(1) and copied.overshoot == 0
    assert copied.noise_gain == pytest.approx(1)  # the visible camera is the noisier at night
    assert copied.person_contrast is not None and copied.person_contrast < 0.3
    assert copied.persons >= 6 and copied.words >= 4 and copied.frames == 2


def test_the_average_lowers_contrast_and_noise(rig: Rig) -> None:
    with baseline("average") as session:
        quality = measure_truth(session, rig, FRAMES)
    assert quality.person_contrast is not None and quality.person_contrast < 0.6
    assert quality.text_contrast is not None and quality.text_contrast < 0.6
    assert quality.noise_gain is not None and quality.noise_gain < 0.8
    assert quality.overshoot == 0


def test_added_noise_is_gain(rig: Rig) -> None:
    random = np.random.default_rng(0)

    def noisy(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
        return np.clip(visible + random.normal(0, 6, visible.shape), 0, 255).astype(np.uint8)

    def amplified(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
        return np.clip(visible * 2.0, 0, 255).astype(np.uint8)

    for fusion in (noisy, amplified):
        gain = measured(rig, fusion).noise_gain
        assert gain is not None and gain > 1.7


def test_sharpening_overshoots(rig: Rig) -> None:
    def sharpened(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
        blurred = cv2.GaussianBlur(infrared, (0, 0), 2.0)
        return cv2.addWeighted(infrared, 3.0, blurred, -2.0, 0)

    value = measured(rig, sharpened).overshoot
    assert value is not None and value > OVERSHOOT_CEILING


def test_a_reversed_person_is_a_lost_one(rig: Rig) -> None:
    quality = measured(rig, lambda visible, infrared: 255 - infrared)
    assert quality.person_contrast == 0


def test_raised_contrast_does_not_pay_for_lost_contrast() -> None:
    source = np.full((40, 80), 50, np.uint8)
    masks = [np.zeros(source.shape, bool) for _ in range(2)]
    masks[0][10:30, 10:20] = masks[1][10:30, 50:60] = True
    source[masks[0] | masks[1]] = 100
    fused = np.full(source.shape, 50, np.uint8)
    fused[masks[0]] = 200
    assert contrasts_kept(fused, (source, source), masks) == [1.0, 0.0]
    assert contrasts_kept(source, (fused * 0, fused * 0), masks) == []


def test_overshoot_is_a_share_of_the_step() -> None:
    person = np.zeros((60, 60), bool)
    person[20:40, 25:35] = True
    infrared = np.where(person, 150, 50).astype(np.uint8)
    visible = np.full(infrared.shape, 60, np.uint8)
    halo = np.where(person, 170, 40).astype(np.uint8)  # 20 beyond 150, 10 beyond 50
    assert overshoot(infrared, (visible, infrared), [person]) == [(0.0, 0.0)]
    ((mean, high),) = overshoot(halo, (visible, infrared), [person])
    assert mean == high == pytest.approx(0.2)
    halo[:30] = infrared[:30]  # above, no halo: the mean halves, the percentile does not
    ((mean, high),) = overshoot(halo, (visible, infrared), [person])
    assert 0.06 < mean < 0.16 and high == pytest.approx(0.2)
    assert overshoot(halo, (visible, visible), [person]) == []


def test_noise_gain_needs_noise_and_somewhere_flat() -> None:
    plane = np.full((20, 20), 90, np.uint8)
    everywhere = np.ones(plane.shape, bool)
    assert noise_gain((plane, plane), [(plane, plane)], everywhere) == []
    assert noise_gain((plane, plane), [(plane, plane)], ~everywhere) == []


def test_similarity_is_against_both_clean_sources(rig: Rig) -> None:
    average = measured(rig, lambda v, i: ((v.astype(int) + i) // 2).astype(np.uint8))
    visible = measured(rig, lambda v, i: v)
    assert average.psnr > visible.psnr  # the mean is what the squared error asks for
    assert -1 <= visible.ssim <= 1 and 0 < visible.psnr < 40


@pytest.mark.parametrize("option", ["ir_bits=16", "parallax=0.1", "skew=50", "ir_size=48x64"])
def test_an_unregistered_rig_is_refused(option: str) -> None:
    with pytest.raises(UserError, match="in registration and step"):
        measured(open_rig(f"synthetic://night?size=64x64&{option}"), lambda v, i: v)


def test_no_frame_is_refused(rig: Rig) -> None:
    with pytest.raises(UserError, match="no frame"):
        measure_truth(Fused(lambda v, i: v), rig, [])


def test_a_tiny_scene_measures_what_there_is() -> None:
    quality = measured(open_rig("synthetic://night?size=16x16"), lambda v, i: v)
    assert quality.frames == 2 and quality.words == 0 and quality.text_contrast is None


def test_means_leave_out_what_was_not_measured() -> None:
    first = TruthQuality(1, 1, 0, 0.5, None, 1.0, 0.1, 0.2, 20.0, 0.5)
    second = TruthQuality(2, 3, 1, 0.7, 0.9, None, 0.3, 0.4, 10.0, 0.7)
    mean = mean_quality([first, second])
    assert (mean.frames, mean.persons, mean.words) == (3, 4, 1)
    assert mean.person_contrast == pytest.approx(0.6) and mean.text_contrast == 0.9
    assert mean.noise_gain == 1.0 and mean.psnr == 15.0


@pytest.mark.slow
def test_the_default_network_passes_at_night() -> None:
    report = evaluate_networks("synthetic://night", ["mgdn-edge"], seeds=[1, 2, 3, 4, 5], frames=3)
    assert len(report.rows) == 5
    for row in report.rows:
        quality = row.quality
        assert quality.person_contrast is not None and quality.text_contrast is not None
        assert min(quality.person_contrast, quality.text_contrast) >= CONTRAST_FLOOR
        assert quality.noise_gain is not None and quality.noise_gain <= NOISE_GAIN_CEILING
        assert quality.overshoot is not None and quality.overshoot <= OVERSHOOT_CEILING
