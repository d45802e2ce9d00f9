"""TruthQuality: how a network's pictures did where the truth is known; see measure_truth.py."""

from __future__ import annotations

import msgspec


class TruthQuality(msgspec.Struct, frozen=True):
    """Means over frames; None where the frames hold nothing to measure.

    ``person_contrast`` and ``text_contrast`` 0..1 kept of the better source, over ``persons``
    and ``words`` seen; ``noise_gain`` 1 as the noisier source; ``overshoot`` and its 95th
    percentile shares of the local step. ``psnr`` in dB against both clean sources (their mean
    squared errors averaged), ``ssim`` the mean over both, in [-1, 1].
    """

    frames: int
    persons: int
    words: int
    person_contrast: float | None
    text_contrast: float | None
    noise_gain: float | None
    overshoot: float | None
    overshoot_p95: float | None
    psnr: float
    ssim: float
