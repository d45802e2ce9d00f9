"""The moving street in both bands: people and cars laid over the backdrop, far to near."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.synthetic.backdrop import Backdrop, draw_backdrop, lamp_light
from mgdn_edge.runtime.synthetic.camera import Camera
from mgdn_edge.runtime.synthetic.cars import draw_car, headlights
from mgdn_edge.runtime.synthetic.people import draw_walker
from mgdn_edge.runtime.synthetic.smoke import SMOKE_Z, Smoke, infrared_passes
from mgdn_edge.runtime.synthetic.sprite import Sprite
from mgdn_edge.runtime.synthetic.street import Street
from mgdn_edge.runtime.synthetic.texture import Float32s

Mask = npt.NDArray[np.bool_]
SOLID = 0.5
BEAM = 95.0  # irradiance at one metre in the middle of a headlight's beam
CONTACT_SHADE = 0.6  # share of the sky's light that a car or a foot takes from the ground
EXHAUST = 1.6  # kelvin the ground under a running car is warmer


@dataclass(frozen=True)
class Instances:
    """(H, W) bool planes: what is where, after everything nearer has hidden it.

    ``people`` holds one mask a visible person; ``lamp`` street lamps and headlights; ``smoke``
    where more than half of the visible light is lost.
    """

    people: list[Mask]
    vehicle: Mask
    text: Mask
    lamp: Mask
    smoke: Mask


class MovingStreet:
    """One camera before one street. ``smoke`` is the density 0..1."""

    def __init__(self, street: Street, camera: Camera, smoke: float) -> None:
        self._street, self._camera = street, camera
        self._backdrop: Backdrop = draw_backdrop(street, camera)
        self._smoke = Smoke(camera, self._backdrop, smoke, street.seed) if smoke else None

    def radiance(self, seconds: float) -> Float32s:
        """Seconds -> (H, W, 3) float32 BGR light at the visible camera; 1 saturates it."""
        picture: Float32s = self._backdrop.radiance.copy()
        self._shine_headlights(picture, seconds)
        for sprite in self._layers(seconds):
            if sprite is None:
                self._veil(picture, seconds)
                continue
            self._shade_ground(picture, sprite)
            lit = sprite.reflectance * self._light_at(sprite)
            if sprite.emission is not None:
                lit += sprite.emission
            _lay_over(picture, sprite, lit, self._cover(sprite))
        for car in self._street.cars:
            for lamp in headlights(car, seconds):
                self._flare(picture, lamp)
        return picture

    def heat(self, seconds: float) -> Float32s:
        """Seconds -> (H, W) float32 apparent temperature in Celsius."""
        picture: Float32s = self._backdrop.heat.copy()
        for sprite in self._layers(seconds):
            if sprite is None:
                self._warm_smoke(picture, seconds)
                continue
            if sprite.name == "vehicle":
                self._warm_ground(picture, sprite)
            _lay_over(picture, sprite, sprite.heat, self._cover(sprite))
        return picture

    def instances(self, seconds: float) -> Instances:
        """Seconds -> the truth, pixel by pixel."""
        backdrop = self._backdrop
        people: list[Mask] = []
        vehicle = np.zeros(self._camera.size, np.bool_)
        text, lamp = backdrop.letters.copy(), backdrop.lamps.copy()
        smoke = vehicle.copy()
        for sprite in self._layers(seconds):
            if sprite is None:
                assert self._smoke is not None
                smoke = self._smoke.passes(seconds) < SOLID
                continue
            cover = self._cover(sprite) > SOLID
            for plane in (vehicle, text, lamp, smoke, *people):
                plane[sprite.window] &= ~cover
            if sprite.name == "person":
                people.append(np.zeros(self._camera.size, np.bool_))
                people[-1][sprite.window] = cover
            else:
                vehicle[sprite.window] |= cover
            if sprite.emission is not None:
                lamp[sprite.window] |= cover & (sprite.emission.max(2) > SOLID)
        return Instances([mask for mask in people if mask.any()], vehicle, text, lamp, smoke)

    def _layers(self, seconds: float) -> list[Sprite | None]:
        """Sprites from far to near, and None where the smoke stands between them."""
        street, camera = self._street, self._camera
        drawn = [draw_car(car, seconds, camera, street.look) for car in street.cars]
        drawn += [draw_walker(each, seconds, camera, street.look) for each in street.walkers]
        sprites = [sprite for sprite in drawn if sprite is not None]
        sprites.sort(key=lambda sprite: -sprite.depth)
        if self._smoke is None:
            return [*sprites]
        behind = [sprite for sprite in sprites if sprite.depth >= SMOKE_Z]
        return [*behind, None, *sprites[len(behind) :]]

    def _cover(self, sprite: Sprite) -> Float32s:
        """The sprite's cover less what stands before it: trees, posts, corners of houses."""
        hidden = self._backdrop.depth[sprite.window] < sprite.depth - 0.3
        return np.where(hidden, np.float32(0), sprite.cover)

    def _light_at(self, sprite: Sprite) -> Float32s:
        place = [np.array([[axis]], np.float32) for axis in sprite.place]
        light = lamp_light(self._street, *place)[0, 0] * np.float32(0.5)
        look = self._street.look
        light += np.float32(0.8) * np.array(look.ambient, np.float32)
        if sprite.place[0] < 4:
            light += np.float32(0.5) * np.array(look.sun, np.float32)
        return np.asarray(light, np.float32)

    def _shade_ground(self, picture: Float32s, sprite: Sprite) -> None:
        shade = self._contact(sprite)
        if shade is not None:
            window, depth = shade
            picture[window] *= (1 - np.float32(CONTACT_SHADE) * depth)[:, :, None]

    def _warm_ground(self, picture: Float32s, sprite: Sprite) -> None:
        shade = self._contact(sprite)
        if shade is not None:
            window, depth = shade
            picture[window] += np.float32(EXHAUST) * depth

    def _contact(self, sprite: Sprite) -> tuple[tuple[slice, slice], Float32s] | None:
        """Where a sprite meets the ground: a soft ellipse, as wide as it is."""
        height, width = self._camera.size
        x, _, z = sprite.place
        column, row, depth = self._camera.project(np.array([[x, 0.0, z]]))[0]
        metre = self._camera.focal / depth
        half = (1.15 if sprite.name == "vehicle" else 0.3) * metre
        flat = (0.5 if sprite.name == "vehicle" else 0.12) * metre
        x0, x1 = max(0, int(column - 1.5 * half)), min(width, int(column + 1.5 * half) + 1)
        y0, y1 = max(0, int(row - 1.5 * flat)), min(height, int(row + 1.5 * flat) + 1)
        if x0 >= x1 or y0 >= y1:
            return None
        across = ((np.arange(x0, x1) - column) / half) ** 2
        down = ((np.arange(y0, y1) - row) / flat) ** 2
        soft = np.exp(-1.6 * (across[None] + down[:, None])).astype(np.float32)
        return (slice(y0, y1), slice(x0, x1)), soft

    def _shine_headlights(self, picture: Float32s, seconds: float) -> None:
        lamps = [lamp for car in self._street.cars for lamp in headlights(car, seconds)]
        lamps = [lamp for lamp in lamps if lamp[2] > 0]
        if not lamps:
            return
        beam = np.zeros(self._backdrop.coarse.shape[:2], np.float32)
        for x, y, z in lamps:
            across = self._backdrop.coarse[:, :, 0] - np.float32(x)
            up = self._backdrop.coarse[:, :, 1] - np.float32(y)
            ahead = np.maximum(np.float32(z) - self._backdrop.coarse[:, :, 2], 0.05)
            square = across**2 + up**2 + ahead**2
            # Low beam: wide across, nothing much above the horizon.
            cone = np.exp(-((across / ahead / 0.35) ** 2) - (np.maximum(up, 0) / ahead / 0.1) ** 2)
            grazing = np.float32(0.7) / np.sqrt(square)  # lamps are low over the road
            beam += np.where(ahead > 0.1, BEAM * cone * grazing / (square + 4), 0)
        height, width = self._camera.size
        grown = cv2.resize(beam, (width, height), interpolation=cv2.INTER_LINEAR)
        warm = cv2.merge([grown * np.float32(tone) for tone in (0.85, 0.95, 1.0)])
        picture += cv2.multiply(warm, self._backdrop.reflectance)

    def _flare(self, picture: Float32s, lamp: tuple[float, float, float]) -> None:
        column, row, depth = self._camera.project(np.array([lamp]))[0]
        if lamp[2] < 1.5 or not (0 <= column < picture.shape[1] and 0 <= row < picture.shape[0]):
            return
        wide = self._camera.focal * (0.02 + 0.35 / depth)
        reach = int(4 * wide) + 1
        x0, x1 = max(0, int(column) - reach), min(picture.shape[1], int(column) + reach + 1)
        y0, y1 = max(0, int(row) - reach), min(picture.shape[0], int(row) + reach + 1)
        across, down = np.arange(x0, x1) - column, np.arange(y0, y1) - row
        square = (across[None] ** 2 + down[:, None] ** 2).astype(np.float32)
        halo = 0.5 * np.exp(-square / np.float32(2 * (0.3 * wide) ** 2))
        halo += 0.16 * np.exp(-square / np.float32(2 * wide**2))
        picture[y0:y1, x0:x1] += halo[:, :, None] * np.array([0.85, 0.95, 1.0], np.float32)

    def _veil(self, picture: Float32s, seconds: float) -> None:
        assert self._smoke is not None
        passes = self._smoke.passes(seconds)[:, :, None]
        look = self._street.look
        grey = np.float32(0.75) * np.array(look.ambient, np.float32)
        grey += np.float32(0.012) * np.array(look.lamp, np.float32)
        picture *= passes
        picture += grey * (1 - passes)

    def _warm_smoke(self, picture: Float32s, seconds: float) -> None:
        assert self._smoke is not None
        passes = infrared_passes(self._smoke.passes(seconds))
        picture *= passes
        picture += np.float32(self._street.look.air + 4) * (1 - passes)


def _lay_over(picture: Float32s, sprite: Sprite, values: Float32s, cover: Float32s) -> None:
    """Blend (h, w) or (h, w, 3) values into the picture by their cover, in place."""
    share = cover if values.ndim == 2 else cover[:, :, None]
    window = picture[sprite.window]
    window += (values - window) * share
