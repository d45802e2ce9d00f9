"""From light and heat to the numbers a camera delivers: lens, noise, levels.

Visible: shot noise of the electrons collected plus read noise, then the sRGB curve (IEC
61966-2-1). Infrared: an uncooled bolometer's temporal noise (NETD), its columns' and pixels'
fixed pattern, then counts or 8 bits over a fixed span.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import InfraredPlane, Plane, Size
from mgdn_edge.runtime.synthetic.texture import Float32s

READ_NOISE = 3.5  # electrons
VIGNETTE = 0.28  # light lost in the corners
INFRARED_VIGNETTE = 0.6  # kelvin: the housing warms the corners
NETD = 0.09  # kelvin; uncooled cores are sold with 0.03 to 0.1
COLUMN_NOISE, PIXEL_NOISE = 0.06, 0.05  # kelvin of fixed pattern after correction
INFRARED_BLUR = 0.8  # pixels: the diffraction of an f/1 lens on 12 um pixels
COUNTS_PER_KELVIN = 40  # 25 mK a count, as radiometric uncooled cores deliver
COUNTS_AT_ZERO = 7400  # counts at 0 degrees Celsius
CODES = 1 << 16
BANK_MARGIN = 128  # pixels: 16384 places to cut a frame's noise


@lru_cache(maxsize=1)
def _srgb_codes() -> Plane:
    """(65536,) uint8: linear light in 1/65535 -> sRGB level."""
    light = np.arange(CODES) / (CODES - 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    codes: Plane = np.rint(255 * curve).astype(np.uint8)
    codes.setflags(write=False)
    return codes


@lru_cache(maxsize=4)
def _corner_distance(size: Size) -> Float32s:
    """(H, W) float32: square of the distance from the centre, 1 in the corners."""
    rows, columns = (np.linspace(-1, 1, side) ** 2 for side in size)
    distance: Float32s = ((rows[:, None] + columns[None]) / 2).astype(np.float32)
    return distance


@lru_cache(maxsize=4)
def _noise_bank(shape: tuple[int, ...], seed: int) -> Float32s:
    """Standard normal draws, BANK_MARGIN rows and columns more than ``shape``."""
    bank_shape = (shape[0] + BANK_MARGIN, shape[1] + BANK_MARGIN, *shape[2:])
    bank = np.random.default_rng([seed, 72]).standard_normal(bank_shape, np.float32)
    bank.setflags(write=False)
    return bank


def draw_noise(shape: tuple[int, ...], seed: int, random: np.random.Generator) -> Float32s:
    """Standard normal float32 noise of one frame.

    Cut at a random place from one bank: white within a frame and unrelated between frames;
    drawing every value anew would take half of a frame's time.
    """
    bank = _noise_bank(shape, seed)
    top, left = (int(place) for place in random.integers(0, BANK_MARGIN, 2))
    return bank[top : top + shape[0], left : left + shape[1]]


def expose_visible(
    radiance: Float32s, electrons: float, noise: float, seed: int, random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) float32 light, overwritten -> (H, W, 3) uint8 sRGB, BGR order.

    ``electrons`` fill a pixel at radiance 1; ``noise`` 0 gives the mean of all exposures.
    """
    size = (radiance.shape[0], radiance.shape[1])
    radiance *= (1 - np.float32(VIGNETTE) * _corner_distance(size))[:, :, None]
    if noise:
        # Shot noise: Poisson, here its normal limit; read noise adds in square.
        spread = radiance * np.float32(1 / electrons)
        spread += np.float32((READ_NOISE / electrons) ** 2)
        np.sqrt(spread, out=spread)
        spread *= draw_noise(radiance.shape, seed, random)
        spread *= np.float32(noise)
        radiance += spread
    radiance *= np.float32(CODES - 1)
    np.clip(radiance, 0, CODES - 1, out=radiance)
    return _srgb_codes()[radiance.astype(np.uint16)]


def blur_lens(heat: Float32s) -> Float32s:
    """(H, W) Celsius -> what the infrared lens passes on."""
    blurred = cv2.GaussianBlur(heat, (0, 0), INFRARED_BLUR, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred + INFRARED_VIGNETTE * _corner_distance(_size(heat)), np.float32)


@lru_cache(maxsize=4)
def fixed_pattern(size: Size, seed: int) -> Float32s:
    """(H, W) float32 kelvin: columns and pixels that differ, the same in every frame."""
    random = np.random.default_rng([seed, 71])
    columns = random.standard_normal((1, size[1]), np.float32) * np.float32(COLUMN_NOISE)
    pixels = random.standard_normal(size, np.float32) * np.float32(PIXEL_NOISE)
    pattern: Float32s = columns + pixels
    return pattern


def add_infrared_noise(
    heat: Float32s, seed: int, noise: float, random: np.random.Generator
) -> None:
    """(H, W) Celsius, in place."""
    size = _size(heat)
    draws = draw_noise(size, seed, random)
    heat += np.float32(noise) * (np.float32(NETD) * draws + fixed_pattern(size, seed))


def counts_span(span: tuple[float, float]) -> tuple[float, float]:
    """Celsius (low, high) -> sensor counts (low, high)."""
    low, high = (float(COUNTS_AT_ZERO + COUNTS_PER_KELVIN * heat) for heat in span)
    return low, high


def read_infrared(heat: Float32s, span: tuple[float, float], bits: int) -> InfraredPlane:
    """(H, W) Celsius -> (H, W) uint16 counts, or uint8 levels of ``span`` (low, high)."""
    if bits == 16:
        counts = np.rint(COUNTS_AT_ZERO + COUNTS_PER_KELVIN * heat)
        return np.asarray(np.clip(counts, 0, CODES - 1), np.uint16)
    levels = np.rint((heat - span[0]) * np.float32(255 / (span[1] - span[0])))
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _size(plane: Float32s) -> Size:
    return plane.shape[0], plane.shape[1]
