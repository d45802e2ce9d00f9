"""H.264 video through PyAV, with the input's stamps, colours and chroma, playable at any time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from mgdn_edge.runtime.capture.files.images import STILL_RATE
from mgdn_edge.runtime.capture.files.video import ticks_from_ns
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.sink import Sink
from mgdn_edge.runtime.picture.colour import NEUTRAL, full_size_chroma
from mgdn_edge.runtime.picture.frame import Plane, SourceInfo, VisibleFrame

if TYPE_CHECKING:
    Packets = list[av.Packet[av.VideoStream]]

PIXEL_FORMATS = {(2, 2): "yuv420p", (2, 1): "yuv422p", (1, 1): "yuv444p"}
RANGE = {None: 0, False: 1, True: 2}  # AVColorRange

# A fragment is playable as soon as it is written; a crash loses at most the last half second
# (plus the encoder's look-ahead, ten frames, unless pace is "source").
FRAGMENT_SECONDS = 0.5
LOOKAHEAD_FRAMES = 10
MP4_OPTIONS = {
    # frag_discont: without it the muxer moves a clip that starts late to zero; with an edit
    # list (delay_moov) it rounds the start to milliseconds (FFmpeg 7 and 8).
    "movflags": "frag_keyframe+empty_moov+default_base_moof+frag_discont",
    "frag_duration": str(int(FRAGMENT_SECONDS * 1e6)),
    "avoid_negative_ts": "disabled",
    "flush_packets": "1",
}
MKV_OPTIONS = {
    "cluster_time_limit": str(int(FRAGMENT_SECONDS * 1e3)),
    "avoid_negative_ts": "disabled",
    "flush_packets": "1",
}
# CRF 18 is held to be visually lossless (44 dB on a fused 640x480 clip). There veryfast gives
# half the bytes of superfast for 1.3 times the time; medium takes 3 times longer and saves
# nothing. B-frames would reorder the output and add delay.
X264_OPTIONS = {
    "preset": "veryfast",
    "crf": "18",
    "bf": "0",
    "rc-lookahead": str(LOOKAHEAD_FRAMES),
}


class VideoSink(Sink[av.VideoFrame, "Packets"]):
    """MP4, MOV or Matroska. Chroma subsampling is kept; grey becomes neutral 4:2:0.

    H.264 has no 4:2:0 of odd sizes: those frames are encoded 4:4:4 with every chroma sample
    repeated. Matroska counts milliseconds, so stamps are rounded to them there. The file is
    opened by the first ``output``; ``live`` asks for an encoder that holds no frame back.
    """

    def __init__(self, path: Path, source: SourceInfo, *, live: bool) -> None:
        self.path = path
        self._time_base = source.time_base or Fraction(1, STILL_RATE)
        self._rate = source.rate or Fraction(STILL_RATE)
        self._live = live
        self._size: tuple[int, int] | None = None
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None

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
        if self._container is None:
            self._open(picture, visible)
        assert self._stream is not None
        try:
            return list(self._stream.encode(picture))
        except av.FFmpegError as error:
            size = f"{picture.width}x{picture.height} {picture.format.name}"
            raise UserError(
                f"H.264 cannot encode {size} ({error.strerror}); give a folder as OUTPUT"
            ) from None

    def output(self, encoded: Packets) -> None:
        """Mux the packets; a fragment goes to the file when it is complete."""
        assert self._container is not None
        try:
            self._container.mux(encoded)
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Flush the encoder and end the file."""
        if self._container is None:
            return
        assert self._stream is not None
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None

    def discard(self) -> None:
        """Remove the file, if it was opened."""
        if self._container is None:
            return
        try:
            self._container.close()
        except (av.FFmpegError, OSError):
            pass  # the file goes away: that its end could not be written no longer matters
        finally:
            self.path.unlink(missing_ok=True)

    def _open(self, picture: av.VideoFrame, visible: VisibleFrame) -> None:
        try:
            self._container = self._new_container()
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None
        stream = self._container.add_stream("libx264", rate=self._rate)
        encoder = stream.codec_context
        stream.time_base = encoder.time_base = self._time_base
        encoder.width, encoder.height = picture.width, picture.height
        encoder.pix_fmt = picture.format.name
        encoder.colorspace = visible.tags.matrix
        encoder.color_range = RANGE[visible.tags.full_range]
        encoder.color_primaries = visible.tags.primaries
        encoder.color_trc = visible.tags.transfer
        encoder.options = self._encoder_options()
        self._stream = stream

    def _new_container(self) -> av.container.OutputContainer:
        is_mkv = self.path.suffix.lower() == ".mkv"
        options = dict(MKV_OPTIONS if is_mkv else MP4_OPTIONS)
        if not is_mkv:
            # The muxer would multiply a coarse time base; the input's is kept.
            options["video_track_timescale"] = str(self._time_base.denominator)
        return av.open(str(self.path), "w", container_options=options)

    def _encoder_options(self) -> dict[str, str]:
        return {**X264_OPTIONS, **({"tune": "zerolatency"} if self._live else {})}

    def _unwritable(self, error: Exception) -> UserError:
        reason = getattr(error, "strerror", None) or str(error)
        return UserError(
            f"cannot write {self.path} ({reason}); give an OUTPUT on a writable disk with room"
        )


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
