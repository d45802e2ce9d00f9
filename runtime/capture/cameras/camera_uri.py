"""Camera URIs: what follows the question mark, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from urllib.parse import SplitResult, parse_qsl, urlsplit

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Size


@dataclass(frozen=True)
class CameraOptions:
    """``size`` (height, width), ``fps`` and ``format`` asked of a camera; None: its own choice."""

    size: Size | None = None
    fps: Fraction | None = None
    format: str | None = None
    loop: bool = False


def split_uri(uri: str) -> SplitResult:
    """``urlsplit``, with a UserError for what it cannot split, such as a [ in a password."""
    try:
        return urlsplit(uri)
    except ValueError:  # raised again out here: the error quotes user and password
        pass
    raise UserError(f"{uri} is not an address; write /?#[]@ in a user or password as %2F and so on")


def parse_options(uri: str, query: str, known: tuple[str, ...]) -> CameraOptions:
    """Query of ``uri`` -> CameraOptions; raises UserError for one not ``known``, or wrong."""
    values: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise UserError(f"{uri}: unknown option {name!r}; options: {', '.join(known)}")
        values[name] = _PARSERS[name](uri, text)
    return CameraOptions(**values)  # type: ignore[arg-type]


def _size(uri: str, text: str) -> Size:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise UserError(f"{uri}: size={text} is not WIDTHxHEIGHT, such as size=640x480")
    return int(found[2]), int(found[1])


def _fps(uri: str, text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise UserError(f"{uri}: fps={text} is not a frame rate, such as fps=25 or fps=30000/1001")
    return rate.limit_denominator(10_000)


def _format(uri: str, text: str) -> str:
    return text.upper()


def _loop(uri: str, text: str) -> bool:
    if text not in ("", "1"):
        raise UserError(f"{uri}: loop={text}; give loop alone")
    return True


_PARSERS = {"size": _size, "fps": _fps, "format": _format, "loop": _loop}
