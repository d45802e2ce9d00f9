"""Features that look alike in both bands: where edges are and which way they run, not how strong
or which side is bright.

A gradient (gx, gy) as a complex number g turns into -g where a band's contrast is reversed; its
square does not. Each pixel's squared direction is weighed by its strength against the
surroundings' (local normalisation), so a faint wall counts as much as a lamp.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]  # (H, W, 2) real and imaginary part
SoftMask = npt.NDArray[np.float32]  # (H, W), 1 where the picture is real

SMOOTHING = 1.0  # pixels; less lets sensor noise vote
SURROUNDINGS = 12.0  # pixels over which strength is compared
# A gradient counts fully at twice the noise. Noise is taken from the weaker half of the picture.
NOISE_GAIN = 2.0


def direction_field(image: npt.NDArray[np.float32], mask: SoftMask) -> Field:
    """(H, W) float32 picture, its mask -> (H, W, 2) float32 squared directions, length 0..1."""
    smooth = cv2.GaussianBlur(image, (0, 0), SMOOTHING)
    across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32)
    strength = cv2.magnitude(across, down) + np.float32(1e-6)
    # Smoothing and the gradient reach 5 pixels: nearer to the edge of a mask they see past it.
    known = cv2.erode(mask, np.ones((11, 11), np.uint8))
    strength_known = strength * known
    local = cv2.GaussianBlur(strength_known, (0, 0), SURROUNDINGS)
    share = cv2.GaussianBlur(known, (0, 0), SURROUNDINGS)
    local /= np.maximum(share, 0.05)
    inside = strength[known > 0.5]
    noise = float(np.percentile(inside, 30)) if inside.size else 1.0
    weight = strength / (strength + local + np.float32(NOISE_GAIN * noise + 1e-4))
    weight *= known / (strength * strength)
    parts = [(across * across - down * down) * weight, 2 * across * down * weight]
    return np.asarray(cv2.merge(parts), np.float32)


def real_part_mask(image: npt.NDArray[np.uint8]) -> SoftMask:
    """(H, W) uint8 -> 1 where there is a picture, 0 in black borders that reach the edge."""
    black = (image == 0).astype(np.uint8)
    mask = np.ones(image.shape, np.float32)
    if not black.any():
        return mask
    _, labels = cv2.connectedComponents(black, connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    for label in np.unique(edge):
        if label:
            mask[labels == label] = 0
    return mask
