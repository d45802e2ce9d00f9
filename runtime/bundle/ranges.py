"""Ranges: what values each tensor of a frame graph took on calibration pairs.

A graph's tensors carry their module's path, so ranges stay valid when the network is exported
again. Histograms, not clip points: every calibration method and every target reads the same file.
"""

import hashlib
from typing import Annotated

import msgspec

from mgdn_edge.runtime.errors import UserError

RANGES_SCHEMA = 1
BINS = 8192  # of a histogram, over -span..span: 4096 for tensors that are never negative

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class TensorRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One float tensor: its exact extremes and a histogram of ``count`` values.

    The histogram has ``BINS`` equal bins over [-span, span), ``span`` a power of two; ``counts``
    are those from bin ``first`` on, zeros at both ends left out.
    """

    low: float
    high: float
    count: int
    span: float
    first: int
    counts: tuple[int, ...]


class PairDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pair by name and the SHA-256 of its two (H, W) uint8 planes, shape included."""

    name: str
    visible: Sha256
    infrared: Sha256


class Ranges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tensor name -> its range, and the pairs that were read, in order.

    ``selection`` says in words how the pairs were chosen.
    """

    network: str
    tensors: dict[str, TensorRange]
    pairs: tuple[PairDigest, ...]
    selection: str
    schema: int = RANGES_SCHEMA


def encode_ranges(ranges: Ranges) -> bytes:
    """Ranges -> JSON whose bytes depend on nothing but the values, ending in a newline."""
    return msgspec.json.encode(ranges, order="deterministic") + b"\n"


def decode_ranges(text: bytes) -> Ranges:
    """JSON -> Ranges; UserError where it holds none this version reads."""
    try:
        ranges = msgspec.json.decode(text, type=Ranges)
    except msgspec.DecodeError as error:
        raise UserError(f"these are not ranges ({error}); run `mgdn quantize` again") from error
    if ranges.schema != RANGES_SCHEMA:
        raise UserError(
            f"these ranges have schema {ranges.schema}; this version reads {RANGES_SCHEMA}; "
            "run `mgdn quantize` again"
        )
    return ranges


def ranges_digest(ranges: Ranges) -> str:
    """Ranges -> the SHA-256 of their file, 64 hexadecimal digits."""
    return hashlib.sha256(encode_ranges(ranges)).hexdigest()
