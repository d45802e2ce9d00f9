"""Seeded crops of training pairs, flipped and changed in brightness, in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import FramePair


@dataclass(frozen=True)
class Jitter:
    """Photometric changes, drawn per crop and per input, so other cameras look familiar.

    Bounds are for exp(uniform) gain and gamma, a uniform offset and the standard deviation of
    Gaussian noise, in units of [0, 1]. ``share`` of the crops are changed. Polarity is never
    flipped: hot is bright. Noise goes to what the network reads and not to what the loss
    compares with, so noise is not rewarded as gradient.
    """

    share: float = 0.5
    log_gain: float = 0.3
    log_gamma: float = 0.3
    offset: float = 0.05
    noise: float = 0.005


@dataclass(frozen=True)
class Batch:
    """(N, 1, S, S) float32 in [0, 1] each: what the network reads, and the same without noise."""

    visible: Tensor
    infrared: Tensor
    clean_visible: Tensor
    clean_infrared: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same planes in the memory of ``device``."""
        return Batch(
            self.visible.to(device),
            self.infrared.to(device),
            self.clean_visible.to(device),
            self.clean_infrared.to(device),
        )


def draw_batches(
    pairs: list[FramePair], *, batch: int, crop: int, jitter: Jitter, random: np.random.Generator
) -> Iterator[Batch]:
    """Pairs -> an endless stream of batches of ``crop`` x ``crop`` pixels, drawn from ``random``.

    A batch is drawn when it is asked for, so the generator's state between two batches says
    everything about those to come. Pairs smaller than the crop are left out; UserError if none
    is left.
    """
    usable = [pair for pair in pairs if min(pair.visible.shape) >= crop]
    if not usable:
        raise UserError(f"no training pair is at least {crop} pixels high and wide; use less")
    while True:
        crops = [
            _draw_crop(usable[int(random.integers(len(usable)))], crop, jitter, random)
            for _ in range(batch)
        ]
        planes = (torch.from_numpy(np.stack(plane)[:, None]) for plane in zip(*crops, strict=True))
        yield Batch(*planes)


def _draw_crop(
    pair: FramePair, crop: int, jitter: Jitter, random: np.random.Generator
) -> tuple[npt.NDArray[np.float32], ...]:
    height, width = pair.visible.shape
    top, left = random.integers(height - crop + 1), random.integers(width - crop + 1)
    window = np.s_[top : top + crop, left : left + crop]
    planes = [
        plane[window].astype(np.float32) / np.float32(255)
        for plane in (pair.visible, pair.infrared)
    ]
    for axis in (0, 1):
        if random.random() < 0.5:
            planes = [np.flip(plane, axis) for plane in planes]
    if random.random() < 0.5:
        planes = [plane.T for plane in planes]
    clean = [_change(plane, jitter, random) for plane in planes]
    noisy = [_add_noise(plane, jitter, random) for plane in clean]
    return (*noisy, *clean)


def _change(
    plane: npt.NDArray[np.float32], jitter: Jitter, random: np.random.Generator
) -> npt.NDArray[np.float32]:
    if random.random() >= jitter.share:
        return np.ascontiguousarray(plane)
    gamma = np.exp(random.uniform(-jitter.log_gamma, jitter.log_gamma))
    gain = np.exp(random.uniform(-jitter.log_gain, jitter.log_gain))
    offset = random.uniform(-jitter.offset, jitter.offset)
    changed: npt.NDArray[np.float32] = np.clip(plane**gamma * gain + offset, 0, 1)
    return changed.astype(np.float32, copy=False)


def _add_noise(
    plane: npt.NDArray[np.float32], jitter: Jitter, random: np.random.Generator
) -> npt.NDArray[np.float32]:
    if random.random() >= jitter.share:
        return plane
    deviation = random.uniform(0, jitter.noise)
    noise = deviation * random.standard_normal(plane.shape, dtype=np.float32)
    noisy: npt.NDArray[np.float32] = np.clip(plane + noise, 0, 1)
    return noisy.astype(np.float32, copy=False)
