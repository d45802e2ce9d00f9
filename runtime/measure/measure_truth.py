"""Fusion judged on truth: do people and words stay, what becomes of noise, are there halos.

On recordings nobody knows what is there; on the synthetic rig it is known pixel by pixel.

Contrast of one person or word is the mean level inside less the mean level of a ring around, as
models of target acquisition take it (Holst, "Electro-Optical Imaging System Performance", target
contrast): the fused plane is shown as it is, so a level is a level in all three pictures.
Dividing by a deviation would reward blur and count noise, which has its own figure. What is kept
is the fused contrast over that of the better source, with the sign of the better source, from 0
(gone or reversed) to 1 (kept or raised: one raised word must not pay for a lost one).

Noise gain is the deviation of fused(noisy) - fused(clean) where neither source has an edge, over
the larger of the two sources' deviations there: 1 for a copy of the noisier source.

Overshoot is that of a step response (IEEE Std 181: peak beyond the levels, relative to the step):
at every pixel of a person's outline the furthest that the clean fused plane leaves the range both
clean sources span nearby, over that range. The mean over all outlines is the figure of the goal;
it is forgiving where only some outlines have halos (sharpening infrared by its difference from a
Gaussian of sigma 2 means 8 %), so the 95th percentile is given beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.measure.truth_quality import TruthQuality
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.quality.parity import ssim
from mgdn_edge.runtime.synthetic import Rig
from mgdn_edge.runtime.synthetic.truth import silhouette_band

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

# What the default network must reach on night seeds 1 to 5.
CONTRAST_FLOOR = 0.80
NOISE_GAIN_CEILING = 1.3
OVERSHOOT_CEILING = 0.08

LEVELS = 255.0
RING_GAP, RING = 2, 6  # pixels: beyond the smoothed outline, within the same surroundings
LEAST_PIXELS = 20  # smaller people and words have no mean to speak of
LEAST_CONTRAST = 8.0  # levels in the better source: below, there is nothing to keep
NEARBY = 7  # pixels: the window of a local range, twice the reach of a 3x3 sharpening and more
LEAST_STEP = 24.0  # levels: a share of a smaller step would measure rounding


def measure_truth(session: Session, rig: Rig, frames: Iterable[int]) -> TruthQuality:
    """Fuse ``rig``'s frames of these numbers, noisy and clean -> TruthQuality.

    Raises UserError for a rig whose planes are not of one size, one moment and 8 bits.
    """
    if not rig.options.registered or rig.options.ir_bits != 8:
        raise UserError(
            "quality on truth needs two 8-bit cameras in registration and step; leave out "
            "ir_size, ir_fov, ir_bits, parallax, yaw, pitch, roll, skew, jitter and ffc"
        )
    people: list[float] = []
    words: list[float] = []
    gains: list[float] = []
    overshoots: list[tuple[float, float]] = []
    decibels: list[float] = []
    similarities: list[float] = []
    for number in frames:
        frame, clean = rig.frame(number), rig.clean(number)
        visible = frame.visible.y
        infrared = np.asarray(frame.infrared.plane, np.uint8)
        clean_infrared = np.asarray(clean.infrared, np.uint8)
        fused = session.fuse(visible, infrared)
        clean_fused = session.fuse(clean.visible, clean_infrared)
        truth, sources, both = frame.truth, (visible, infrared), (clean.visible, clean_infrared)
        people += contrasts_kept(fused, sources, truth.people)
        words += contrasts_kept(fused, sources, truth.words)
        pairs = [(visible, clean.visible), (infrared, clean_infrared)]
        gains += noise_gain((fused, clean_fused), pairs, truth.flat)
        overshoots += overshoot(clean_fused, both, truth.people)
        decibels.append(_psnr(fused, both))
        similarities.append(_mean([ssim(fused, source, LEVELS) for source in both]))
    if not decibels:
        raise UserError("no frame was given; name at least one")
    return TruthQuality(
        frames=len(decibels),
        persons=len(people),
        words=len(words),
        person_contrast=_mean_or_none(people),
        text_contrast=_mean_or_none(words),
        noise_gain=_mean_or_none(gains),
        overshoot=_mean_or_none([mean for mean, _ in overshoots]),
        overshoot_p95=_mean_or_none([high for _, high in overshoots]),
        psnr=_mean(decibels),
        ssim=_mean(similarities),
    )


def contrasts_kept(
    fused: Plane, sources: tuple[Plane, Plane], instances: list[Mask]
) -> list[float]:
    """(H, W) uint8 planes, (H, W) bool masks -> 0..1 for each mask with contrast to keep."""
    everything = np.zeros(fused.shape, np.bool_)
    for mask in instances:
        everything |= mask
    kept = []
    for mask in instances:
        around = surroundings(mask) & ~everything
        if mask.sum() < LEAST_PIXELS or around.sum() < LEAST_PIXELS:
            continue
        better = max((contrast(plane, mask, around) for plane in sources), key=abs)
        if abs(better) >= LEAST_CONTRAST:
            kept.append(float(np.clip(contrast(fused, mask, around) / better, 0, 1)))
    return kept


def surroundings(mask: Mask) -> Mask:
    """(H, W) bool -> the ring around it, clear of its smoothed outline."""
    return _grow(mask, RING_GAP + RING) & ~_grow(mask, RING_GAP)


def contrast(plane: Plane, inside: Mask, around: Mask) -> float:
    """(H, W) uint8, where -> levels, positive where the inside is brighter."""
    return float(plane[inside].mean() - plane[around].mean())


def noise_gain(
    fused: tuple[Plane, Plane], sources: list[tuple[Plane, Plane]], flat: Mask
) -> list[float]:
    """(noisy, clean) uint8 planes, where no edge is -> [gain], or [] without noise or flat."""
    if flat.sum() < LEAST_PIXELS:
        return []
    before = max(_noise(noisy, clean, flat) for noisy, clean in sources)
    return [_noise(*fused, flat) / before] if before > 0 else []


def overshoot(
    fused: Plane, sources: tuple[Plane, Plane], people: list[Mask]
) -> list[tuple[float, float]]:
    """Clean uint8 planes, people -> [(mean, 95th percentile)], or [] where no outline is seen."""
    window = np.ones((NEARBY, NEARBY), np.uint8)
    high = cv2.dilate(cv2.max(*sources), window).astype(np.float64)
    low = cv2.erode(cv2.min(*sources), window).astype(np.float64)
    beyond = np.maximum(0, np.maximum(fused - high, low - fused))
    peak = np.asarray(cv2.dilate(beyond, window))
    sites = np.zeros(fused.shape, np.bool_)
    for mask in people:
        sites |= silhouette_band(mask)
    sites &= high - low >= LEAST_STEP
    if not sites.any():
        return []
    shares = peak[sites] / (high - low)[sites]
    return [(float(shares.mean()), float(np.percentile(shares, 95)))]


def _noise(noisy: Plane, clean: Plane, flat: Mask) -> float:
    return float((noisy[flat].astype(np.float64) - clean[flat]).std())


def _psnr(fused: Plane, sources: tuple[Plane, Plane]) -> float:
    errors = [np.square(fused.astype(np.float64) - source).mean() for source in sources]
    # Half a level of rounding bounds it: a copy of two equal sources has no error at all.
    return float(10 * np.log10(LEVELS**2 / max(_mean(errors), 1 / 12)))


def _grow(mask: Mask, pixels: int) -> Mask:
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), window)) > 0


def _mean_or_none(values: list[float]) -> float | None:
    return _mean(values) if values else None


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
