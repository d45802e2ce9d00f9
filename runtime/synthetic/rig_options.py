"""RigOptions: what a ``synthetic://SCENE?name=value&...`` URI says, checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from urllib.parse import parse_qsl, urlsplit

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Size

SCHEME = "synthetic"
SCENES = ("night", "dusk", "day", "smoke")
MIN_SIDE, MAX_SIDE = 16, 4096  # pixels; a person is two pixels tall at 16
VISIBLE_FOV = 58.0  # degrees, horizontal: focal length 0.9 of the width


@dataclass(frozen=True)
class RigOptions:
    """A scene and its two cameras; sizes are (height, width) in pixels.

    Every impairment but ``visible_loss`` is the infrared camera's: the visible one is the
    reference. ``offset`` and ``jitter`` in milliseconds, ``skew`` in parts per million,
    ``loss`` and ``visible_loss`` shares of the frames, ``ffc`` and ``gain_jump`` seconds between
    events (0: none), ``parallax`` metres to the right, ``yaw``, ``pitch``, ``roll`` and
    ``ir_fov`` degrees; ``noise`` scales every sensor noise, ``smoke`` is 0..1.
    """

    scene: str
    seed: int = 0
    frames: int = 300
    size: Size = (480, 640)
    fps: Fraction = Fraction(25)
    noise: float = 1.0
    smoke: float | None = None
    ir_bits: int = 8
    ir_size: Size | None = None
    ir_fov: float = VISIBLE_FOV
    parallax: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    offset: float = 0.0
    skew: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    visible_loss: float = 0.0
    ffc: float = 0.0
    gain_jump: float = 0.0

    @property
    def infrared_size(self) -> Size:
        """(height, width) of the infrared camera."""
        return self.size if self.ir_size is None else self.ir_size

    @property
    def registered(self) -> bool:
        """True where both cameras see the same ray in the same pixel at the same moment."""
        here = (self.infrared_size, self.ir_fov, self.parallax, self.yaw, self.pitch, self.roll)
        still = (self.skew, self.jitter, self.ffc)
        return here == (self.size, VISIBLE_FOV, 0, 0, 0, 0) and still == (0, 0, 0)


class _BadValueError(ValueError):
    """Says what would have been good."""


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        wanted = f"a number from {low:g} to {high:g}"
        try:
            value = float(text)
        except ValueError:
            raise _BadValueError(wanted) from None
        if not low <= value <= high:  # NaN is neither
            raise _BadValueError(wanted)
        return value

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,10}", text) or not low <= int(text) <= high:
            raise _BadValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _size(text: str) -> Size:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not all(MIN_SIDE <= int(side) <= MAX_SIDE for side in found.groups()):
        raise _BadValueError(f"WIDTHxHEIGHT with sides from {MIN_SIDE} to {MAX_SIDE}")
    return int(found[2]), int(found[1])


def _rate(text: str) -> Fraction:
    wanted = "frames per second from 1 to 240, such as 25 or 30000/1001"
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise _BadValueError(wanted) from None
    if not 1 <= rate <= 240:
        raise _BadValueError(wanted)
    return rate.limit_denominator(10_000)


def _bits(text: str) -> int:
    if text not in ("8", "16"):
        raise _BadValueError("8 or 16")
    return int(text)


PARSERS: dict[str, Callable[[str], object]] = {
    "seed": _integer(0, 2**31 - 1),
    "frames": _integer(1, 100_000),
    "size": _size,
    "fps": _rate,
    "noise": _number(0, 10),
    "smoke": _number(0, 1),
    "ir_bits": _bits,
    "ir_size": _size,
    "ir_fov": _number(10, 100),
    "parallax": _number(-2, 2),
    "yaw": _number(-20, 20),
    "pitch": _number(-20, 20),
    "roll": _number(-20, 20),
    "offset": _number(-10_000, 10_000),
    "skew": _number(-1000, 1000),
    "jitter": _number(0, 100),
    "loss": _number(0, 0.9),
    "visible_loss": _number(0, 0.9),
    "ffc": _number(0, 3600),
    "gain_jump": _number(0, 3600),
}


def is_rig(uri: str) -> bool:
    """True for URIs of this scheme, well-formed or not."""
    return uri.lower().startswith(f"{SCHEME}://")


def parse_rig(uri: str) -> RigOptions:
    """``synthetic://SCENE?name=value&...`` -> RigOptions.

    Raises UserError for an unknown scene or option, a value out of range, or an option twice.
    """
    parts = urlsplit(uri)
    scene = parts.netloc
    if not is_rig(uri) or scene not in SCENES or parts.path not in ("", "/") or parts.fragment:
        raise UserError(
            f"{uri} names no scene; give {SCHEME}://SCENE with SCENE one of {', '.join(SCENES)}, "
            f"such as {SCHEME}://night?seed=1"
        )
    values: dict[str, object] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in PARSERS:
            raise UserError(f"{uri}: unknown option {name!r}; options: {', '.join(PARSERS)}")
        if name in values:
            raise UserError(f"{uri}: {name} is given twice; give it once")
        try:
            values[name] = PARSERS[name](text)
        except _BadValueError as error:
            raise UserError(f"{uri}: {name}={text} is not {error}; change {name}") from None
    return RigOptions(scene=scene, **values)  # type: ignore[arg-type]
