"""The counts file: 16-bit infrared planes beside a fused video, lossless, one to each fused frame.

Matroska with FFV1, gray16le, which every FFmpeg reads; frame N belongs to frame N of the fused
video. The comment tag is JSON: what a count means and the fused picture's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np

from mgdn_edge.runtime.alignment.apply.remap import working_from_visible
from mgdn_edge.runtime.capture.files.video import ticks_from_ns
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.pairs import Pairs
from mgdn_edge.runtime.pairing.pairs import Pair
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.stream.stream import FrameKeeper
from mgdn_edge.runtime.thermal.scale import CountScale

SCHEMA = "mgdn.counts/1"
MILLISECOND = Fraction(1, 1000)  # Matroska's time base
TAG = "COMMENT"


class CountsNote(msgspec.Struct, frozen=True):
    """``fused_size`` is (width, height) of the fused picture; ``scale`` None where not known.

    ``to_infrared``, row by row, takes its pixels to infrared ones: the rig's homography as the
    recording began, without lens distortion, else the resizing.
    """

    fused_size: tuple[int, int]
    to_infrared: tuple[float, ...]
    scale: CountScale | None = None
    schema: str = SCHEMA


class Reading(msgspec.Struct, frozen=True):
    """One infrared pixel: its place in the infrared picture, its count and what that means."""

    x: int
    y: int
    count: int
    celsius: float | None
    seconds: float


@contextmanager
def record_counts(
    path: Path | None, scale: CountScale | None, pairs: Pairs, keeper: FrameKeeper | None
) -> Iterator[FrameKeeper | None]:
    """A keeper that also writes every pair's counts to ``path``; ``keeper`` itself without one.

    An error removes the file again.
    """
    if path is None:
        yield keeper
        return
    recorder = CountsRecorder(path, scale, pairs, keeper)
    try:
        yield recorder
        recorder.close()
    except BaseException:
        recorder.discard()
        raise


class CountsRecorder:
    """Writes counts on the stream's writer thread. See ``record_counts``."""

    def __init__(
        self, path: Path, scale: CountScale | None, pairs: Pairs, keeper: FrameKeeper | None
    ) -> None:
        self._path = path
        self._scale = scale
        self._rate = pairs.visible.info.rate or Fraction(25)
        self._keeper = keeper
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None

    def hold(self, fused: Plane) -> None:
        """(H, W) uint8: passed on."""
        if self._keeper is not None:
            self._keeper.hold(fused)

    def decide(self, pair: Pair) -> None:
        """Write the counts of the pair just fused; raises UserError where there are none."""
        counts = pair.infrared.counts
        if counts is None:
            raise UserError(
                "--record-infrared keeps 16-bit counts, and this infrared is 8-bit: leave it out"
            )
        if self._container is None:
            self._open(counts.shape[1], counts.shape[0], pair)
        assert self._stream is not None and self._container is not None
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(counts), format="gray16le")
        frame.pts = ticks_from_ns(pair.stamps.pts_ns, MILLISECOND)
        frame.time_base = MILLISECOND
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None
        if self._keeper is not None:
            self._keeper.decide(pair)

    def close(self) -> None:
        """End the file."""
        if self._container is None or self._stream is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None

    def discard(self) -> None:
        """Remove the file, if it was begun."""
        if self._container is None:
            return
        with suppress(av.FFmpegError, OSError):  # it goes away: its end no longer matters
            self._container.close()
        self._path.unlink(missing_ok=True)

    def _open(self, width: int, height: int, pair: Pair) -> None:
        try:
            self._container = av.open(str(self._path), "w")
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None
        fused_size = (pair.size[1], pair.size[0])
        note = CountsNote(fused_size, _to_infrared(pair, (width, height)), self._scale)
        self._container.metadata[TAG] = msgspec.json.encode(note).decode()
        self._stream = self._container.add_stream("ffv1", rate=self._rate)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "gray16le"
        self._stream.time_base = self._stream.codec_context.time_base = MILLISECOND

    def _unwritable(self, error: Exception) -> UserError:
        reason = getattr(error, "strerror", None) or str(error)
        return UserError(f"cannot write {self._path} ({reason}); give another --record-infrared")


def read_counts(path: Path, frame: int, at: tuple[int, int]) -> Reading:
    """Counts file, frame number from 0, (x, y) pixel of the fused picture -> Reading.

    Raises UserError for a file, frame or place that is not there.
    """
    try:
        with av.open(str(path)) as container:
            note = msgspec.json.decode(container.metadata.get(TAG, ""), type=CountsNote)
            number = -1
            for number, picture in enumerate(container.decode(video=0)):
                if number == frame:
                    counts = picture.to_ndarray()
                    seconds = float((picture.pts or 0) * (picture.time_base or MILLISECOND))
                    return _reading(counts, at, note, seconds)
            raise UserError(f"{path} has {number + 1} frames, numbered from 0; --frame {frame}")
    except (av.FFmpegError, OSError, msgspec.DecodeError) as error:
        raise UserError(
            f"{path} is no counts file ({error}); write one: "
            "mgdn fuse ... --record-infrared FILE.mkv"
        ) from None


def _to_infrared(pair: Pair, size: tuple[int, int]) -> tuple[float, ...]:
    """Homography of fused pixels to those of an infrared picture of (width, height), row by row."""
    if pair.alignment is not None:
        onto = working_from_visible(pair.alignment.rig) @ pair.alignment.homography
        return tuple(float(value) for value in np.linalg.inv(onto).ravel())
    # Centres of pixels: (x + 0.5) of W is the same point as (x' + 0.5) of W'.
    across, down = size[0] / pair.size[1], size[1] / pair.size[0]
    return (across, 0.0, (across - 1) / 2, 0.0, down, (down - 1) / 2, 0.0, 0.0, 1.0)


def _reading(
    counts: np.ndarray[tuple[int, ...], np.dtype[np.uint16]],
    at: tuple[int, int],
    note: CountsNote,
    seconds: float,
) -> Reading:
    width, height = note.fused_size
    if not (0 <= at[0] < width and 0 <= at[1] < height):
        raise UserError(f"--at {at[0]},{at[1]} is outside the fused picture, {width}x{height}")
    across, down, depth = np.reshape(note.to_infrared, (3, 3)) @ (*at, 1.0)
    # Whole coordinates are centres; an edge between two pixels belongs to the further one.
    x, y = (int(np.floor(place / depth + 0.5 + 1e-9)) for place in (across, down))
    if not (0 <= x < counts.shape[1] and 0 <= y < counts.shape[0]):
        raise UserError(f"--at {at[0]},{at[1]}: the infrared camera does not see that far")
    count = int(counts[y, x])
    celsius = None if note.scale is None else round(note.scale.celsius(count), 3)
    return Reading(x, y, count, celsius, round(seconds, 6))
