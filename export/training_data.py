"""Training pairs: the manifest's train split as luma planes, and seeded crops of them."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgdn_edge.runtime.errors import UserError

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
VIDEO_SUFFIXES = {".mp4", ".mkv", ".avi", ".mov"}

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
    noise: float = 0.015


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
        read = _read_clip if visible.suffix in VIDEO_SUFFIXES else _read_images
        for index, (luma, heat) in enumerate(read(visible, infrared)):
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


def _read_images(visible: Path, infrared: Path) -> Iterator[tuple[Plane, Plane]]:
    yield _read_luma(visible), _read_luma(infrared)


def _read_luma(path: Path) -> Plane:
    """Image file -> (H, W) uint8 luma, BT.601 full range."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise UserError(f"{path} is not an image OpenCV can read; replace or remove it")
    return image.astype(np.uint8, copy=False)


def _read_clip(visible: Path, infrared: Path) -> Iterator[tuple[Plane, Plane]]:
    """``FRAMES_PER_CLIP`` frames spread evenly over two clips of one length."""
    clips = cv2.VideoCapture(str(visible)), cv2.VideoCapture(str(infrared))
    try:
        frames = min(int(clip.get(cv2.CAP_PROP_FRAME_COUNT)) for clip in clips)
        wanted = set(np.linspace(0, frames - 1, FRAMES_PER_CLIP).astype(int).tolist())
        for index in range(frames):
            read = [clip.read() for clip in clips]
            if not all(ok for ok, _ in read):
                raise UserError(
                    f"{visible} or {infrared} ends at frame {index} of {frames}; replace it"
                )
            if index in wanted:
                luma, heat = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for _, image in read)
                yield luma.astype(np.uint8, copy=False), heat.astype(np.uint8, copy=False)
    finally:
        for clip in clips:
            clip.release()


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
