import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.baselines import BASELINES, BaselineSession
from mgdn_edge.runtime.fusion.open_session import open_session

GENERATOR = np.random.default_rng(11)
AWKWARD_SIZES = [(1, 1), (1, 9), (7, 1), (2, 2), (16, 31), (33, 32), (65, 127)]


def noise(size):
    return GENERATOR.integers(0, 256, size, np.uint8)


@pytest.mark.parametrize("size", AWKWARD_SIZES)
@pytest.mark.parametrize("name", BASELINES)
def test_any_size_and_identical_inputs_come_back(name, size):
    plane = noise(size)
    with BaselineSession(name) as session:
        fused = session.fuse(plane, plane)
    assert fused.shape == size
    assert np.abs(fused.astype(int) - plane).max() <= (1 if name == "guided" else 0)


@pytest.mark.parametrize("name", BASELINES)
def test_fusion_is_deterministic_and_leaves_its_inputs(name):
    visible, infrared = noise((45, 61)), noise((45, 61))
    kept = visible.copy(), infrared.copy()
    with BaselineSession(name) as session:
        first, second = (session.fuse(visible, infrared) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(visible, kept[0])
    np.testing.assert_array_equal(infrared, kept[1])


def test_average_is_the_mean_half_to_even():
    every = np.arange(256, dtype=np.uint8)
    visible, infrared = np.meshgrid(every, every)
    with BaselineSession("average") as session:
        fused = session.fuse(visible, infrared)
    np.testing.assert_array_equal(fused, np.rint((visible.astype(float) + infrared) / 2))


def test_laplacian_base_is_the_maximum():
    with BaselineSession("laplacian") as session:
        fused = session.fuse(np.full((64, 64), 40, np.uint8), np.full((64, 64), 190, np.uint8))
        one = session.fuse(np.array([[3]], np.uint8), np.array([[200]], np.uint8))
    assert (fused == 190).all()
    assert one.tolist() == [[200]]


def test_laplacian_keeps_the_stronger_detail_of_either():
    visible, infrared = np.full((64, 64), 100, np.uint8), np.full((64, 64), 100, np.uint8)
    visible[8:12, 8:12] = 220
    infrared[40:44, 40:44] = 10
    with BaselineSession("laplacian") as session:
        fused = session.fuse(visible, infrared).astype(int)
    assert fused[8:12, 8:12].min() > 190
    assert fused[40:44, 40:44].max() < 40
    assert np.abs(fused[20:30, 20:30] - 100).max() < 12


def guided_by_loops(visible, infrared):
    """The same definition, a window at a time, in float64."""

    def mean(plane, radius):
        padded = np.pad(plane, radius, mode="symmetric")
        size = 2 * radius + 1
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
        return windows.mean(axis=(2, 3))

    def guided(guide, plane, radius, eps):
        covariance = mean(guide * plane, radius) - mean(guide, radius) * mean(plane, radius)
        variance = mean(guide * guide, radius) - mean(guide, radius) ** 2
        slope = covariance / (variance + eps)
        offset = mean(plane, radius) - slope * mean(guide, radius)
        return mean(slope, radius) * guide + mean(offset, radius)

    def saliency(image):
        padded = np.pad(image, 1, mode="symmetric")
        edges = np.abs(
            padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * image
        )
        taps = np.exp(-(np.arange(-5, 6) ** 2) / 50.0)
        taps /= taps.sum()
        padded = np.pad(edges, 5, mode="symmetric")
        rows = sum(tap * padded[i : i + image.shape[0]] for i, tap in enumerate(taps))
        return sum(tap * rows[:, i : i + image.shape[1]] for i, tap in enumerate(taps))

    images = [plane / 255.0 for plane in (visible, infrared)]
    bases = [mean(image, 15) for image in images]
    wins = (saliency(images[0]) >= saliency(images[1])).astype(float)
    maps, total = [wins, 1 - wins], 0
    details = [image - base for image, base in zip(images, bases, strict=True)]
    for layers, radius, eps in ((bases, 45, 0.3), (details, 7, 1e-6)):
        weights = [
            np.clip(guided(image, win, radius, eps), 0, 1)
            for image, win in zip(images, maps, strict=True)
        ]
        mixed = sum(weight * layer for weight, layer in zip(weights, layers, strict=True))
        total = total + mixed / (sum(weights) + 1e-6)
    return np.clip(np.rint(total * 255), 0, 255)


def test_guided_agrees_with_its_definition():
    smooth = np.add.outer(np.arange(96), np.arange(112)) * 0.8
    visible = np.clip(smooth + GENERATOR.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8)
    infrared = np.clip(200 - smooth + GENERATOR.normal(0, 20, smooth.shape), 0, 255).astype(
        np.uint8
    )
    with BaselineSession("guided") as session:
        fused = session.fuse(visible, infrared)
    difference = np.abs(fused - guided_by_loops(visible, infrared))
    assert np.percentile(difference, 99.9) <= 1
    swapped = np.abs(fused - guided_by_loops(infrared[::-1], visible))
    assert np.percentile(swapped, 50) > 5


def test_two_slots_are_in_flight_and_stamped():
    with BaselineSession("laplacian") as session:
        slots = [session.acquire((40, 50)) for _ in range(2)]
        for value, slot in enumerate(slots):
            slot.visible[:] = slot.infrared[:] = 50 + value
            session.submit(slot)
        for value, slot in enumerate(slots):
            session.collect(slot)
            assert (slot.fused == 50 + value).all()
            assert 0 < slot.started_ns <= slot.finished_ns
        assert slots[0].finished_ns <= slots[1].started_ns
        for slot in slots:
            slot.release()


def test_unknown_baseline_names_the_known_ones():
    with pytest.raises(UserError, match="average, laplacian, guided"):
        BaselineSession("median")


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_open_by_name(name):
    with open_session(name) as session:
        assert (session.network, session.backend, session.variant) == (name, "opencv", "any-size")
