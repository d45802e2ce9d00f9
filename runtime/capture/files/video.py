"""Video files through PyAV: exact counts, exact time stamps, planes without conversion."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import av

from mgdn_edge.runtime.capture.files.local_media import open_media
from mgdn_edge.runtime.capture.frames.planes import frame_planes
from mgdn_edge.runtime.capture.frames.raw_frame import RawFrame, Reader
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import SourceInfo

NS = 1_000_000_000
# FFmpeg draws plain text files as pictures of a terminal; no video is kept that way.
TEXT_FORMATS = {"tty"}


class PtsClock:
    """Ticks of a stream's time base -> nanoseconds that always advance.

    A missing stamp continues by one frame, one that does not advance by one tick.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._time_base = time_base
        self._frame_ticks = max(1, round(1 / (rate * time_base))) if rate else 1
        self._last: int | None = None

    def advance(self, pts: int | None) -> int:
        """Next frame's stamp in ticks, or None -> int nanoseconds, rounded once."""
        if pts is None:
            pts = 0 if self._last is None else self._last + self._frame_ticks
        elif self._last is not None and pts <= self._last:
            pts = self._last + 1
        self._last = pts
        return ns_from_ticks(pts, self._time_base)


def ns_from_ticks(ticks: int, time_base: Fraction) -> int:
    """Integer ticks of ``time_base`` seconds -> int nanoseconds, half up, in integers."""
    scaled = 2 * ticks * time_base.numerator * NS + time_base.denominator
    return scaled // (2 * time_base.denominator)


def ticks_from_ns(pts_ns: int, time_base: Fraction) -> int:
    """Integer nanoseconds -> int ticks, half up.

    The inverse of ``ns_from_ticks`` for every time base longer than a nanosecond: half a
    nanosecond of rounding is then less than half a tick.
    """
    divisor = time_base.numerator * NS
    return (2 * pts_ns * time_base.denominator + divisor) // (2 * divisor)


def _open(path: Path) -> av.container.InputContainer:
    try:
        container = open_media(path)
    except av.FFmpegError as error:
        raise UserError(
            f"{path} is not a readable video or image, or is cut off ({error.strerror}); "
            "give a video file, an image, or a folder of images"
        ) from None
    if not container.streams.video or container.format.name in TEXT_FORMATS:
        container.close()
        raise UserError(
            f"{path} holds no video; give a video file, an image, or a folder of images"
        )
    return container


class VideoReader(Reader):
    """One video file; its packets are counted when it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _open(path) as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            time_base = stream.time_base
            size = (stream.codec_context.height, stream.codec_context.width)
            count = self._count_frames(container)
        if count == 0 or min(size) < 1:
            raise UserError(f"{path} has no frames; record it again or give another file")
        if time_base is None:
            raise UserError(f"{path} states no time base; remux it: ffmpeg -i IN -c copy OUT.mp4")
        self._rate, self._time_base = rate, time_base
        self.info = SourceInfo(
            uri=str(path), size=size, frames=count, rate=rate, time_base=time_base, live=False
        )

    @property
    def paths(self) -> list[Path]:
        """The file."""
        return [self._path]

    def _count_frames(self, container: av.container.InputContainer) -> int:
        # Containers' own counts are estimates or absent; demuxing reads every packet but
        # decodes none. Packets outside an edit list are decoded but never shown.
        try:
            return sum(
                1 for packet in container.demux(video=0) if packet.size and not packet.is_discard
            )
        except av.FFmpegError as error:
            raise self._damaged("", error) from None

    def frames(self) -> Generator[RawFrame, None, None]:
        """Frames in display order; raises UserError where the file is damaged."""
        clock = PtsClock(self._time_base, self._rate)
        with _open(self._path) as container:
            container.streams.video[0].thread_type = "AUTO"
            decoded = container.decode(video=0)
            seq = 0
            while True:
                try:
                    frame = next(decoded, None)
                except av.FFmpegError as error:
                    raise self._damaged(f" after {seq} frames", error, seq) from None
                if frame is None:
                    return
                planes = frame_planes(frame)
                yield RawFrame(
                    y=planes.y,
                    chroma=planes.chroma,
                    subsampling=planes.subsampling,
                    bits=planes.bits,
                    tags=planes.tags,
                    pts_ns=clock.advance(frame.pts),
                    seq=seq,
                    stem=None,
                    origin=f"frame {seq} of {self._path}",
                )
                seq += 1

    def _damaged(self, where: str, error: av.FFmpegError, good: int = 0) -> UserError:
        start = f"; mgdn fuse takes what is whole with --frames {good}" if good else ""
        return UserError(
            f"{self._path} is damaged{where} ({error.strerror}); record or copy it again{start}"
        )
