"""FusionSpec: how 8-bit luma planes become a network's inputs and back.

Said once at export. It travels in the ONNX metadata (key ``METADATA_KEY``) and in the
bundle's manifest; calibration, parity and the runtime read it and never restate it.
"""

from typing import Literal

import msgspec

from mgdn_edge.runtime.picture.frame import Size

METADATA_KEY = "mgdn.fusion_spec"

Stream = Literal["visible", "infrared"]
PadRule = Literal["minimal", "release"]
PadMode = Literal["reflect", "symmetric", "edge"]
OutputRange = Literal["clip", "stretch"]


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One core-graph input: ``core = (luma / 255 - mean) / std``, repeated to ``channels``.

    ``planes`` names the stream of each channel where they are not all ``stream``.
    """

    name: str
    stream: Stream
    channels: int
    mean: float = 0.0
    std: float = 1.0
    planes: tuple[Stream, ...] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Raise ValueError where ``planes`` are not one a channel."""
        if self.planes is not msgspec.UNSET and len(self.planes) != self.channels:
            raise ValueError(
                f"input {self.name} has {self.channels} channels and {len(self.planes)} planes"
            )


class OutputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The core graph's output: ``luma = 255 * (core * std + mean)``, as inputs are read."""

    mean: float = 0.0
    std: float = 1.0


class FusionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The adapter between (1, 1, H, W) uint8 luma planes and one core graph.

    ``inputs`` are in the core graph's order. ``multiple`` is what height and width are padded
    to on the right and bottom (and cropped back); ``pad_rule`` "release" is the published MGDN
    script's rule, which adds a full multiple where none is needed. ``global_statistics`` is
    true where the network reduces over the whole image, so padding changes every pixel.
    ``output`` is unset where the core graph gives 0..1. ``output_range`` "clip" rounds to the
    nearest level, half to even; "stretch" maps each image's own least and greatest value to 0 and
    255 and rounds half up, as some published images were written: for stills alone.
    """

    network: str
    variant: str
    inputs: tuple[InputSpec, InputSpec]
    output_channels: int
    multiple: int = 1
    pad_rule: PadRule = "minimal"
    pad_mode: PadMode = "reflect"
    output_range: OutputRange = "clip"
    global_statistics: bool = False
    schema: int = 1
    output: OutputSpec | msgspec.UnsetType = msgspec.UNSET


def encode_spec(spec: FusionSpec) -> str:
    """FusionSpec -> the JSON written into ONNX metadata and manifests."""
    return msgspec.json.encode(spec).decode()


def decode_spec(text: str | bytes) -> FusionSpec:
    """JSON -> FusionSpec; raises msgspec.ValidationError on unknown or wrong fields."""
    return msgspec.json.decode(text, type=FusionSpec)


def channel_streams(stream: InputSpec) -> tuple[Stream, ...]:
    """The stream each channel of a core-graph input is made from, in order."""
    if stream.planes is msgspec.UNSET:
        return (stream.stream,) * stream.channels
    return stream.planes


def padded_size(spec: FusionSpec, height: int, width: int) -> Size:
    """(height, width) in pixels -> the size the core graph sees under ``pad_rule``."""
    multiple = spec.multiple

    def grow(size: int) -> int:
        if spec.pad_rule == "release":
            return (size // multiple + 1) * multiple
        # Not -(-size // multiple): torch's exporter writes floor division as ONNX Div, which
        # truncates, so a negative dividend rounds the wrong way (torch 2.13).
        return (size + multiple - 1) // multiple * multiple

    return grow(height), grow(width)
