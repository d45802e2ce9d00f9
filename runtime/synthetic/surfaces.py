"""Materials of the empty street: reflectance, own light and temperature of every ray.

Each painter fills the rays of one surface in all three planes, so that what is a window in the
visible picture is a window in the infrared one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.synthetic import traced_street
from mgdn_edge.runtime.synthetic.street import KERB_X, House, Sign, Street
from mgdn_edge.runtime.synthetic.texture import Float32s, sample_noise, sample_plane, smooth_step

Mask = npt.NDArray[np.bool_]
STOREY = 3.1  # metres
SHOP = 3.9  # height of the ground floor
LETTER_ROWS = 96  # pixels of a sign's lettering, finer than any camera here sees it
FINE_SEEN = 25.0  # metres at which a texture of centimetres has faded to its mean


@dataclass
class Materials:
    """(h, w, 3) BGR reflectance and emission, (h, w) Celsius, (h, w) share of letters."""

    reflectance: Float32s
    emission: Float32s
    heat: Float32s
    letters: Float32s


def paint_street(traced: traced_street.Traced, positions: Float32s, street: Street) -> Materials:
    """Materials of every ray of ``traced``; (h, w) as there."""
    shape = traced.depth.shape
    materials = Materials(
        np.zeros((*shape, 3), np.float32),
        np.zeros((*shape, 3), np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
    )
    look = street.look
    _paint_sky(materials, traced, street)
    _paint_ground(materials, traced, positions, street)
    houses = [*street.houses[0], *street.houses[1]]
    for number, house in enumerate(houses):
        mask = (traced.surface == traced_street.WALL) & (traced.index == number)
        if mask.any():
            _paint_house(materials, positions, mask, house, street, number)
    for number, sign in enumerate(street.signs):
        _paint_sign(materials, traced, positions, sign, street, number)
    plain = (
        (traced_street.SKYLINE, (0.05, 0.05, 0.055), look.wall - 1.5),
        (traced_street.POST, (0.10, 0.10, 0.10), look.air - 0.5),
        (traced_street.TRUNK, (0.06, 0.08, 0.10), look.air + 0.8),
        (traced_street.LAMP, (0.2, 0.2, 0.2), look.air + 1.0),
        (traced_street.CROWN, (0.035, 0.075, 0.05), look.air + 0.3),
    )
    for surface, reflectance, heat in plain:
        mask = traced.surface == surface
        materials.reflectance[mask] = reflectance
        materials.heat[mask] = heat
    _rustle_crowns(materials, traced, positions, street)
    lamps = traced.surface == traced_street.LAMP
    materials.emission[lamps] = np.float32(0.28) * np.array(look.lamp, np.float32)
    return materials


def _paint_sky(materials: Materials, traced: traced_street.Traced, street: Street) -> None:
    mask = traced.surface == traced_street.SKY
    if not mask.any():
        return
    look = street.look
    rays = traced.rays[mask]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    up = rays[:, 1]
    height = np.clip(up, 0.02, 1)
    # A cloud layer overhead, seen in perspective: coordinates shrink towards the horizon.
    clouds = sample_noise(rays[:, 0] / height, rays[:, 2] / height, 24.0, street.seed + 21)
    cover = smooth_step(-0.2, 1.6, clouds)
    share = smooth_step(0.0, 0.45, up)
    low, top = np.array(look.sky_low, np.float32), np.array(look.sky_top, np.float32)
    sky = low + (top - low) * share[:, None]
    sky += (low * np.float32(1.05) - sky) * cover[:, None] * np.float32(0.75)
    materials.emission[mask] = sky
    zenith, horizon = look.sky
    materials.heat[mask] = horizon + (zenith - horizon) * share + 9.0 * cover * share


def _paint_ground(
    materials: Materials, traced: traced_street.Traced, positions: Float32s, street: Street
) -> None:
    mask = traced.surface == traced_street.GROUND
    x, z = positions[:, :, 0][mask], positions[:, :, 2][mask]
    seed = street.seed
    coarse = sample_noise(x, z, 23.0, seed + 31)
    fine = sample_noise(x, z, 2.6, seed + 32, coarsest=32)
    fine *= np.clip(1 - z / np.float32(FINE_SEEN), 0, 1)
    across = np.abs(x)
    tracks = np.exp(-(((across - 1.9) / 0.95) ** 4))
    asphalt = 0.115 + 0.014 * coarse + 0.02 * fine - 0.018 * tracks
    marks = (across < 0.07) & (np.mod(z, 6.0) < 3.0) & ((z < 7.7) | (z > 13.3))
    marks |= np.abs(across - 3.95) < 0.06
    marks |= (z > 8.0) & (z < 13.0) & (np.mod(x + 0.25, 1.0) < 0.5) & (across < 4.0)
    marks |= (np.abs(z - 13.8) < 0.18) & (x < 0) & (across < 3.9)
    # Paint wears off in patches.
    paint = marks * (0.35 + 0.65 * smooth_step(-2.2, 0.2, coarse + 0.6 * fine))
    road = asphalt + (0.42 + 0.05 * fine - asphalt) * paint
    joints = (np.mod(x, 0.9) < 0.04) | (np.mod(z, 0.9) < 0.04)
    pavement = 0.2 + 0.014 * coarse + 0.014 * fine - 0.05 * (joints & (z < FINE_SEEN))
    kerb = np.abs(across - KERB_X - 0.12) < 0.12
    grey = np.where(across < KERB_X, road, np.where(kerb, 0.27, pavement))
    tint = np.array([0.98, 1.0, 1.03], np.float32)
    materials.reflectance[mask] = np.maximum(grey, 0.02)[:, None] * tint
    # The road keeps the day's heat where tyres pass; the pavement has cooled further.
    heat = street.look.road + 0.5 * coarse + 0.9 * tracks - 0.3 * paint
    heat = np.where(across < KERB_X, heat, street.look.road - 1.6 + 0.4 * coarse)
    materials.heat[mask] = heat - 1.8 * np.clip(z / 120, 0, 1)


def _paint_house(
    materials: Materials,
    positions: Float32s,
    mask: Mask,
    house: House,
    street: Street,
    number: int,
) -> None:
    y, z = positions[:, :, 1][mask], positions[:, :, 2][mask]
    look, seed = street.look, street.seed
    random = np.random.default_rng([seed, 41, number]).random(1024).astype(np.float32)
    rough = sample_noise(z, y, 9.0, seed + 42 + number)
    along = (z - house.start) / house.window
    shop = y < SHOP
    storey = np.floor(np.maximum(y - SHOP, 0) / STOREY)
    within_y = np.mod(y - SHOP, STOREY) / STOREY
    within_z = np.mod(along, 1)
    cell = (np.floor(along).astype(np.int64) * 31 + storey.astype(np.int64) * 101) % 1024
    margin = np.minimum(within_z, 1 - within_z)
    tall = (within_y > 0.24) & (within_y < 0.80) & (margin > 0.25) & ~shop
    tall &= y < house.height - 0.9
    display = shop & (y > 0.6) & (y < 2.75) & (margin > 0.09)
    glass = tall | display
    bars = glass & ((np.abs(within_z - 0.5) < 0.02) | ((np.abs(within_y - 0.6) < 0.02) & tall))
    frame = (within_y > 0.2) & (within_y < 0.84) & (margin > 0.21) & ~glass & ~shop
    cornice = (np.abs(y - SHOP + 0.1) < 0.12) | (y > house.height - 0.45)
    wall = np.array(house.colour, np.float32) * (1 + 0.10 * rough)[:, None]
    wall = np.where(frame[:, None], wall * 1.35, wall)
    wall = np.where(cornice[:, None], wall * 1.25, wall)
    wall = np.where(glass[:, None] & ~bars[:, None], np.float32(0.05), wall)
    materials.reflectance[mask] = np.maximum(wall, 0.01)
    # Rooms: curtains and lamps make each window its own gradient.
    lit = glass & ~bars & (random[cell] < look.lit_windows)
    bright = 0.08 + 0.34 * random[(cell * 7 + 3) % 1024] * (0.55 + 0.6 * (1 - within_y))
    bright *= 1 + 0.25 * rough
    warm = random[(cell * 13 + 5) % 1024][:, None] < 0.75
    tone = np.where(warm, np.array([0.42, 0.75, 1.0]), np.array([0.95, 1.0, 0.92]))
    glow = np.where(lit[:, None], bright[:, None] * tone, 0)
    sky = np.array(look.sky_low, np.float32) * np.float32(0.22)  # reflected by dark panes
    materials.emission[mask] = np.where((glass & ~lit)[:, None], sky, glow)
    # Panes leak heat and mirror the cold sky; heated rooms show around the frames.
    heat = look.wall + 0.45 * rough + 0.9 * frame + 0.12 * (house.height - y)
    heat = np.where(glass, look.wall - 1.6 + 2.2 * lit + 0.5 * random[cell], heat)
    materials.heat[mask] = heat


def _paint_sign(
    materials: Materials,
    traced: traced_street.Traced,
    positions: Float32s,
    sign: Sign,
    street: Street,
    number: int,
) -> None:
    if sign.side == 0:
        mask = (traced.surface == traced_street.SIGN) & (traced.index == number)
        across = positions[:, :, 0] - np.float32(sign.start)
    else:
        z = positions[:, :, 2] - np.float32(sign.start)
        y = positions[:, :, 1]
        mask = (traced.surface == traced_street.WALL) & (positions[:, :, 0] * sign.side > 0)
        mask &= (z > 0) & (z < sign.width) & (y > sign.bottom) & (y < sign.bottom + sign.height)
        across = z if sign.side < 0 else sign.width - z  # words are read from the street
    if not mask.any():
        return
    lettering = draw_lettering(sign)
    rows, columns = lettering.shape
    u = across[mask] / np.float32(sign.width) * columns - 0.5
    top = np.float32(sign.bottom + sign.height)
    v = (top - positions[:, :, 1][mask]) / np.float32(sign.height) * rows - 0.5
    share = sample_plane(lettering, u, v)
    day = street.look.ambient[1] > 0.2
    glow = np.float32(0.25 if day else 1.0)
    board, letters = np.array(sign.board, np.float32), np.array(sign.letters, np.float32)
    materials.letters[mask] = share
    materials.reflectance[mask] = board + (letters - board) * share[:, None]
    materials.emission[mask] = glow * (board * 0.45 + (letters - board * 0.45) * share[:, None])
    # Letters and board are one painted sheet: no difference in temperature.
    materials.heat[mask] = street.look.air - 1.0


def draw_lettering(sign: Sign) -> Float32s:
    """(96, W) float32 share of letters, 0..1, in the sign's proportions."""
    rows, columns = LETTER_ROWS, round(LETTER_ROWS * sign.width / sign.height)
    canvas = np.zeros((rows, columns), np.uint8)
    font, thickness = cv2.FONT_HERSHEY_DUPLEX, 9
    (width, height), _ = cv2.getTextSize(sign.word, font, 1.0, thickness)
    scale = min(0.86 * columns / width, 0.62 * rows / height)
    (width, height), _ = cv2.getTextSize(sign.word, font, scale, thickness)
    corner = ((columns - width) // 2, (rows + height) // 2)
    cv2.putText(canvas, sign.word, corner, font, scale, 255, thickness, cv2.LINE_AA)
    return np.asarray(canvas / np.float32(255), np.float32)


def _rustle_crowns(
    materials: Materials, traced: traced_street.Traced, positions: Float32s, street: Street
) -> None:
    mask = traced.surface == traced_street.CROWN
    leaves = sample_noise(
        positions[:, :, 0] + positions[:, :, 2], positions[:, :, 1], 3.0, street.seed + 51, 8
    )[mask]
    materials.reflectance[mask] *= np.clip(1 + 0.5 * leaves, 0.15, 2.5)[:, None]
    materials.heat[mask] += 0.6 * leaves
