"""Training pairs: the manifest's train split as luma planes, and seeded crops of them."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.sources import open_infrared, open_visible

MANIFEST = "manifest.csv"
# What each set's origin states about its terms; a set that is not named here is not trained on.
LICENCES = {
    "roadscene": "RoadScene states no licence (its README asks for citation)",
    "msrs": "MSRS by way of MIT repositories (it derives from MFNet)",
    "msrs_gray": "MSRS by way of WaveFusionNet, MIT",
    "sequences/0117_1605_mp4": "M3SVD, MIT",
    "sequences/1230_1202_mp4": "M3SVD, MIT",
}
FRAMES_PER_CLIP = 24  # neighbours in a clip differ little; these are spread evenly over it

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TrainingPair:
    """(H, W) uint8 luma and (H, W) uint8 infrared of one size."""

    name: str
    visible: Plane
    infrared: Plane


@dataclass(frozen=True)
class TrainingSet:
    """Pairs in manifest order; ``digests`` maps each file read to its sha256."""

    pairs: list[TrainingPair]
    digests: dict[str, str]
    licences: dict[str, str]


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


def read_training_set(data_root: Path) -> TrainingSet:
    """Folder with ``manifest.csv`` -> every pair whose split is ``train``.

    Raises UserError where the manifest, a file or a licence entry is missing, or sizes differ.
    """
    manifest = data_root / MANIFEST
    if not manifest.is_file():
        raise UserError(f"no {MANIFEST} in {data_root}; give the folder that holds it")
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    if not rows:
        raise UserError(f"{manifest} lists no pair with split=train; nothing to train on")

    pairs: list[TrainingPair] = []
    digests: dict[str, str] = {}
    licences: dict[str, str] = {}
    for row in rows:
        dataset = row["dataset"]
        if dataset not in LICENCES:
            raise UserError(
                f"{manifest}: set {dataset!r} has split=train but no licence is recorded for it; "
                "add it to LICENCES in export/training_data.py"
            )
        licences[dataset] = LICENCES[dataset]
        visible, infrared = data_root / row["vi"], data_root / row["ir"]
        for path in (visible, infrared):
            digests[str(path.relative_to(data_root))] = _digest(path)
        for index, (luma, heat) in enumerate(_read_pair(visible, infrared)):
            if luma.shape != heat.shape:
                raise UserError(
                    f"{visible} is {luma.shape} and {infrared} {heat.shape} (height, width); "
                    "training pairs must be of one size"
                )
            pairs.append(TrainingPair(f"{dataset}/{row['name']}#{index}", luma, heat))
    return TrainingSet(pairs, digests, licences)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"{path} is in the manifest but not on disk; complete the data folder")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_pair(visible: Path, infrared: Path) -> Iterator[tuple[Plane, Plane]]:
    """Two images, or ``FRAMES_PER_CLIP`` frames spread evenly over two clips of one length.

    Luma as the runtime's sources give it, so training sees what fusing will see.
    """
    with open_visible(str(visible)) as seen, open_infrared(str(infrared)) as felt:
        frames, partners = seen.info.frames, felt.info.frames
        if frames is None or frames != partners:
            raise UserError(
                f"{visible} has {frames} frames and {infrared} {partners}; "
                "clips of a training pair must be of one length"
            )
        wanted = set(np.linspace(0, frames - 1, FRAMES_PER_CLIP).round().astype(int).tolist())
        pairs = zip(seen.frames(), felt.frames(), strict=True)
        for index, (frame, partner) in enumerate(pairs):
            if index in wanted:
                # Copies, as a source's planes may be views of the decoder's memory.
                yield frame.y.copy(), partner.plane.astype(np.uint8)


def draw_batches(
    pairs: list[TrainingPair], *, batch: int, crop: int, jitter: Jitter, seed: int
) -> Iterator[Batch]:
    """Pairs -> an endless, seeded stream of batches of ``crop`` x ``crop`` pixels.

    Pairs smaller than the crop are left out; UserError if none is left.
    """
    usable = [pair for pair in pairs if min(pair.visible.shape) >= crop]
    if not usable:
        raise UserError(f"no training pair is at least {crop} pixels high and wide; use less")
    random = np.random.default_rng(seed)
    while True:
        crops = [
            _draw_crop(usable[int(random.integers(len(usable)))], crop, jitter, random)
            for _ in range(batch)
        ]
        planes = (torch.from_numpy(np.stack(plane)[:, None]) for plane in zip(*crops, strict=True))
        yield Batch(*planes)


def _draw_crop(
    pair: TrainingPair, crop: int, jitter: Jitter, random: np.random.Generator
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
