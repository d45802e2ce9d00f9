"""H.264 video through PyAV, with the input's stamps, colours and chroma, playable at any time."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from mgdn_edge.runtime.capture.files.images import STILL_RATE
from mgdn_edge.runtime.capture.files.video import ticks_from_ns
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.partial_file import Kept
from mgdn_edge.runtime.output.sink import Sink
from mgdn_edge.runtime.output.video_file import VideoFile
from mgdn_edge.runtime.picture.colour import NEUTRAL, full_size_chroma
from mgdn_edge.runtime.picture.frame import Plane, Size, SourceInfo, VisibleFrame
from mgdn_edge.runtime.whole_file import Output

if TYPE_CHECKING:
    Packets = list[av.Packet[av.VideoStream]]

PIXEL_FORMATS = {(2, 2): "yuv420p", (2, 1): "yuv422p", (1, 1): "yuv444p"}
RANGE = {None: 0, False: 1, True: 2}  # AVColorRange

LOOKAHEAD_FRAMES = 10
# CRF 18 is held to be visually lossless (44 dB on a fused 640x480 clip). There veryfast gives
# half the bytes of superfast for 1.3 times the time; medium takes 3 times longer and saves
# nothing. B-frames would reorder the output and add delay.
X264_OPTIONS = {
    "preset": "veryfast",
    "crf": "18",
    "bf": "0",
    "rc-lookahead": str(LOOKAHEAD_FRAMES),
}


class H264Sink(Sink[av.VideoFrame, "Packets"]):
    """Frames -> H.264 packets. Chroma subsampling is kept; grey becomes neutral 4:2:0.

    H.264 has no 4:2:0 of odd sizes: those frames are encoded 4:4:4 with every chroma sample
    repeated. ``live`` asks for an encoder that holds no frame back.
    """

    def __init__(self, source: SourceInfo, *, live: bool) -> None:
        self._time_base = source.time_base or Fraction(1, STILL_RATE)
        self._rate = source.rate or Fraction(STILL_RATE)
        self._live = live
        self._size: Size | None = None
        self._stream: av.VideoStream | None = None

    @abstractmethod
    def _new_stream(self) -> av.VideoStream:
        """Open the container with one libx264 stream; raises UserError."""

    def copy_out(self, fused: Plane, visible: VisibleFrame) -> av.VideoFrame:
        """(H, W) uint8 fused luma -> encoder frame holding a copy of it."""
        height, width = fused.shape
        if self._size is None:
            self._size = (height, width)
        elif self._size != (height, width):
            raise UserError(
                f"{visible.stem or f'frame {visible.seq}'} is {width}x{height} but the video "
                f"began with {self._size[1]}x{self._size[0]}; give a folder as OUTPUT"
            )
        picture = av.VideoFrame(width, height, PIXEL_FORMATS[_kept_subsampling(visible)])
        _plane(picture, 0)[...] = fused
        return picture

    def compose(self, picture: av.VideoFrame, visible: VisibleFrame) -> av.VideoFrame:
        """Chroma planes, stamp and colour tags as the visible frame has them."""
        if visible.chroma is None:
            for index in (1, 2):
                _plane(picture, index)[...] = NEUTRAL
        else:
            chroma = visible.chroma
            if _kept_subsampling(visible) != visible.subsampling:
                size = (picture.height, picture.width)
                chroma = full_size_chroma(chroma, visible.subsampling, size, smooth=False)
            for index, plane in enumerate(chroma, start=1):
                _plane(picture, index)[...] = plane
        picture.pts = ticks_from_ns(visible.pts_ns, self._time_base)
        picture.time_base = self._time_base
        picture.colorspace = visible.tags.matrix
        picture.color_range = RANGE[visible.tags.full_range]
        return picture

    def encode(self, picture: av.VideoFrame, visible: VisibleFrame) -> Packets:
        """Encoder frame -> packets finished so far."""
        if self._stream is None:
            self._stream = self._open(picture, visible)
        try:
            return list(self._stream.encode(picture))
        except av.FFmpegError as error:
            size = f"{picture.width}x{picture.height} {picture.format.name}"
            raise UserError(
                f"H.264 cannot encode {size} ({error.strerror}); give a folder as OUTPUT"
            ) from None

    def _open(self, picture: av.VideoFrame, visible: VisibleFrame) -> av.VideoStream:
        stream = self._new_stream()
        encoder = stream.codec_context
        encoder.width, encoder.height = picture.width, picture.height
        encoder.pix_fmt = picture.format.name
        encoder.colorspace = visible.tags.matrix
        encoder.color_range = RANGE[visible.tags.full_range]
        encoder.color_primaries = visible.tags.primaries
        encoder.color_trc = visible.tags.transfer
        encoder.options = self._encoder_options()
        return stream

    def _encoder_options(self) -> dict[str, str]:
        return {**X264_OPTIONS, **({"tune": "zerolatency"} if self._live else {})}


class VideoSink(H264Sink):
    """MP4, MOV or Matroska, which counts milliseconds: stamps are rounded to them there."""

    def __init__(self, output: Output, source: SourceInfo, *, live: bool) -> None:
        super().__init__(source, live=live)
        self.path = output.path
        self._file = VideoFile(output)

    def begin(self) -> None:
        """Take the partial name and lock it."""
        self._file.begin()

    def output(self, encoded: Packets) -> None:
        """Mux the packets; a fragment goes to the file when it is complete."""
        self._file.mux(encoded)

    def close(self) -> None:
        """Flush the encoder, end the file and give it its name."""
        self._file.complete()

    def keep(self) -> Kept | None:
        """End the file, unless ended; it stays under its partial name if it has frames."""
        self.kept = self._file.keep()
        return self.kept

    def _new_stream(self) -> av.VideoStream:
        return self._file.open("libx264", self._rate, self._time_base)


def _kept_subsampling(visible: VisibleFrame) -> tuple[int, int]:
    """The input's subsampling where H.264 can carry it at this size, else (1, 1)."""
    horizontal, vertical = (2, 2) if visible.chroma is None else visible.subsampling
    height, width = visible.y.shape
    return (1, 1) if width % horizontal or height % vertical else (horizontal, vertical)


def _plane(picture: av.VideoFrame, index: int) -> Plane:
    """A writable (H, W) uint8 view of one plane of an encoder frame."""
    plane = picture.planes[index]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    view: Plane = lines[: plane.height, : plane.width]
    return view
