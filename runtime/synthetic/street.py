"""The street of a seed: what stands where, and the light and warmth of each scene.

World as in ``camera``: metres; the road runs along z between two rows of houses. Light is
relative: radiance 1 saturates the visible camera. Temperatures are apparent ones in degrees
Celsius, as an infrared camera of the 8 to 14 um band reports them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.synthetic.rig_options import RigOptions

Colour = tuple[float, float, float]  # blue, green, red
FACADE_X = 8.2  # metres from the road's middle to the houses
KERB_X = 4.3
STREET_END = 85.0
LAMP_HEIGHT = 6.2
WORDS = ("EXIT 12", "HOTEL", "PARK 24H", "CINEMA", "BAKERY", "METRO 3", "PHARMACY", "MARKET")


@dataclass(frozen=True)
class Look:
    """Light (BGR radiance or irradiance) and temperatures (Celsius) of one scene.

    ``electrons`` fill a visible pixel at radiance 1: fewer are noisier. ``span`` is what the
    infrared camera shows from black to white at 8 bits.
    """

    ambient: Colour
    sky_top: Colour
    sky_low: Colour
    sun: Colour
    lamp: Colour
    lit_windows: float
    smoke: float
    electrons: float
    air: float
    road: float
    wall: float
    sky: tuple[float, float]  # zenith, horizon
    clothing: float
    span: tuple[float, float]


LOOKS = {
    "night": Look(
        (0.042, 0.031, 0.026), (0.012, 0.007, 0.005), (0.055, 0.04, 0.036), (0, 0, 0),
        (4.6, 7.6, 10.0), 0.28, 0.0, 3500, 7, 8.5, 9, (-22, 2), 18, (0, 32),
    ),
    "dusk": Look(
        (0.30, 0.24, 0.21), (0.22, 0.13, 0.09), (0.30, 0.36, 0.52), (0, 0, 0),
        (3.0, 5.0, 6.6), 0.4, 0.0, 9000, 13, 17, 15.5, (-14, 8), 23, (3, 36),
    ),
    "day": Look(
        (0.74, 0.62, 0.54), (0.78, 0.52, 0.34), (0.88, 0.80, 0.72), (0.8, 0.92, 0.98),
        (0, 0, 0), 0.0, 0.0, 20000, 20, 29, 23, (-8, 14), 28, (8, 44),
    ),
    "smoke": Look(
        (0.50, 0.45, 0.42), (0.55, 0.44, 0.36), (0.66, 0.62, 0.58), (0, 0, 0),
        (0, 0, 0), 0.1, 0.8, 12000, 16, 19, 18, (-10, 11), 25, (5, 38),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class House:
    """From ``start`` to ``end`` along z, ``height`` metres tall."""

    start: float
    end: float
    height: float
    colour: Colour
    window: float  # metres between window axes


@dataclass(frozen=True)
class Sign:
    """A board of one word. Facing the camera where ``side`` is 0, else on that row of houses.

    ``start`` is its left edge in x (side 0) or its near edge in z; ``z`` where it stands.
    """

    word: str
    side: int
    start: float
    width: float
    bottom: float
    height: float
    z: float
    board: Colour
    letters: Colour


@dataclass(frozen=True)
class Tree:
    """A crown of half-axes ``radius`` and ``radius * 1.2`` over a trunk."""

    x: float
    z: float
    crown: float  # height of the crown's centre
    radius: float


@dataclass(frozen=True)
class Walker:
    """A person who walks to and fro on a straight path; metres, seconds."""

    start: tuple[float, float]  # x, z
    end: tuple[float, float]
    speed: float
    delay: float
    height: float
    coat: Colour
    trousers: Colour
    warmth: float  # kelvin over the scene's clothing


@dataclass(frozen=True)
class Car:
    """Facing the camera (``heading`` -1) or away (+1): drives, stops or is parked."""

    x: float
    z: float
    heading: int
    speed: float  # m/s, 0 for a parked car
    stop: float | None  # z where it waits, None to drive on and come again
    colour: Colour
    engine: float  # kelvin over the air at the bonnet
    lights: bool


@dataclass(frozen=True)
class Street:
    """Everything a seed decides. Hashable, so that what is drawn once is kept once."""

    seed: int
    look: Look
    houses: tuple[tuple[House, ...], tuple[House, ...]]  # left, right
    signs: tuple[Sign, ...]
    lamps: tuple[tuple[float, float, float], ...]
    trees: tuple[Tree, ...]
    walkers: tuple[Walker, ...]
    cars: tuple[Car, ...]


def build_street(options: RigOptions) -> Street:
    """The street of ``options.seed`` under the light of ``options.scene``."""
    draw = np.random.default_rng([options.seed, 7])
    words = [str(word) for word in draw.permutation(WORDS)]
    look = LOOKS[options.scene]
    first_lamp = float(draw.uniform(16, 20))
    return Street(
        seed=options.seed,
        look=look,
        houses=(_build_row(draw), _build_row(draw)),
        signs=_hang_signs(draw, words),
        lamps=tuple(
            ((-1.0) ** index * (KERB_X + 0.5), LAMP_HEIGHT, first_lamp + 11.0 * index)
            for index in range(5)
        ),
        trees=tuple(
            Tree(
                side * float(draw.uniform(6.4, 7.4)),
                float(draw.uniform(22, 30)) + 13 * index,
                float(draw.uniform(3.8, 4.6)),
                float(draw.uniform(1.5, 2.1)),
            )
            for side in (-1, 1)
            for index in range(3)
        ),
        walkers=_send_walkers(draw),
        cars=_park_cars(draw, lit=options.scene != "day"),
    )


def _build_row(draw: np.random.Generator) -> tuple[House, ...]:
    houses, start = [], 2.0
    while start < STREET_END:
        end = start + float(draw.uniform(9, 16))
        tone = draw.uniform(0.16, 0.42) * np.array([0.85, 0.95, 1.08]) ** draw.uniform(0.2, 1.8)
        height = float(draw.uniform(7.5, 13))
        houses.append(House(start, end, height, _colour(tone), float(draw.uniform(2.2, 3.1))))
        start = end + (2.5 if draw.random() < 0.25 else 0.0)
    return tuple(houses)


def _hang_signs(draw: np.random.Generator, words: list[str]) -> tuple[Sign, ...]:
    boards: list[Colour] = [(0.16, 0.05, 0.02), (0.05, 0.12, 0.02), (0.03, 0.03, 0.04)]
    letters: list[Colour] = [(0.75, 0.8, 0.8), (0.30, 0.75, 0.95), (0.85, 0.65, 0.25)]
    board, glow = int(draw.integers(2)), int(draw.integers(1, 3))
    right = float(draw.uniform(2.2, 2.8))
    gantry = Sign(words[0], 0, right, 3.6, 4.3, 1.0, 17.0, boards[board], letters[0])
    shops = tuple(
        Sign(words[1 + index], side, start, 4.4, 3.15, 0.8, 0.0, boards[2], letters[shade])
        for index, (side, start, shade) in enumerate(
            ((-1, float(draw.uniform(12, 14)), glow), (1, float(draw.uniform(19, 22)), 3 - glow))
        )
    )
    return (gantry, *shops)


def _send_walkers(draw: np.random.Generator) -> tuple[Walker, ...]:
    # Two cross the road where cars wait for them, the others keep to the pavements.
    across = [(float(draw.uniform(8.5, 9.5)), -5.5, 5.2), (float(draw.uniform(11, 12)), 6.2, -6.0)]
    paths = [((left, z), (right, z)) for z, left, right in across]
    for side in (-1, 1):
        x, z = side * float(draw.uniform(5.2, 6.2)), float(draw.uniform(13, 16))
        paths.append(((x, z), (x + side * 0.8, z + float(draw.uniform(9, 14)))))
    walkers = []
    for start, end in paths:
        cloth = draw.uniform(0.05, 0.11, 2)[:, None] * draw.uniform(0.75, 1.25, (2, 3))
        walkers.append(
            Walker(
                start, end, float(draw.uniform(1.0, 1.5)), float(draw.uniform(0, 3.5)),
                float(draw.uniform(1.62, 1.88)), _colour(cloth[0]), _colour(cloth[1]),
                float(draw.uniform(-1.5, 2.5)),
            )
        )  # fmt: skip
    return tuple(walkers)


def _park_cars(draw: np.random.Generator, *, lit: bool) -> tuple[Car, ...]:
    paints = [_colour(paint) for paint in draw.uniform(0.05, 0.35, (4, 1)) * np.ones((1, 3))]
    red = _colour(np.array([0.06, 0.05, 0.3]))
    oncoming, leaving = float(draw.uniform(26, 34)), float(draw.uniform(15, 20))
    parked = float(draw.uniform(13.5, 15))
    return (
        Car(-1.9, oncoming, -1, 8.0, float(draw.uniform(15, 17)), paints[0], 20.0, lit),
        Car(1.9, leaving, 1, float(draw.uniform(4, 6)), None, paints[1], 15.0, lit),
        Car(3.2, parked, 1, 0.0, None, red, float(draw.uniform(3, 14)), False),
        Car(-3.3, parked + 13, -1, 0.0, None, paints[2], float(draw.uniform(0, 6)), False),
    )


def _colour(values: npt.NDArray[np.float64]) -> Colour:
    return float(values[0]), float(values[1]), float(values[2])
