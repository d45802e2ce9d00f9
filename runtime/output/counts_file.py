"""The counts file: 16-bit infrared planes beside a fused video, lossless, one to each fused frame.

Matroska with FFV1, gray16le, which every FFmpeg reads; frame N belongs to frame N of the fused
video. The comment tag is JSON: what a count means and the fused picture's size.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import msgspec
import numpy as np

from mgdn_edge.runtime.alignment.apply.registration import RegisteredPair
from mgdn_edge.runtime.alignment.apply.remap import working_from_visible
from mgdn_edge.runtime.capture.files.local_media import open_media
from mgdn_edge.runtime.capture.files.video import ticks_from_ns
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.partial_file import Kept
from mgdn_edge.runtime.output.video_file import VideoFile
from mgdn_edge.runtime.pairing.pairs import Pair
from mgdn_edge.runtime.picture.frame import Plane, Size
from mgdn_edge.runtime.thermal.count_scale import CountScale
from mgdn_edge.runtime.whole_file import Output

SCHEMA = "mgdn.counts/1"
MILLISECOND = Fraction(1, 1000)  # Matroska's time base
TAG = "COMMENT"


class CountsNote(msgspec.Struct, frozen=True):
    """``scale`` is None where not known; ``fused_width_height`` is the file's ``fused_size``.

    ``to_infrared``, row by row, takes fused pixels to infrared ones: the rig's homography as the
    recording began, without lens distortion, else the resizing.
    """

    fused_width_height: tuple[int, int] = msgspec.field(name="fused_size")
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


class CountsRecorder:
    """Observes a stream and writes every pair's counts, on its writer's thread.

    A side file: where it cannot be written any more it ends, the stream goes on and ``failure``
    says why. A context: begun when entered, kept under its partial name when left.
    """

    def __init__(self, output: Output, scale: CountScale | None, rate: Fraction | None) -> None:
        self.failure: str | None = None
        self._output = output
        self._file = VideoFile(output)
        self._scale = scale
        self._rate = rate or Fraction(25)
        self._stream: av.VideoStream | None = None

    def see_pair(self, pair: Pair) -> None:
        """Nothing to write yet: the pair may still be dropped."""

    def see_fused(self, fused: Plane) -> None:
        """The fused picture is the sink's."""

    def see_written(self, pair: RegisteredPair) -> None:
        """Write the counts of the pair just fused."""
        if self.failure is None:
            try:
                self._write(pair)
            except UserError as error:
                self.failure = str(error)

    def complete(self) -> None:
        """End the file and give it its name, unless it failed."""
        if self.failure is None:
            try:
                self._file.complete()
            except UserError as error:
                self.failure = str(error)

    def keep(self) -> Kept | None:
        """End early, unless ended: what stays under the partial name."""
        return self._file.keep()

    def __enter__(self) -> None:
        self._file.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.keep()

    def _write(self, pair: RegisteredPair) -> None:
        counts = pair.infrared.counts
        if counts is None:
            raise UserError(f"no counts for {self._output.path}: the infrared became 8-bit")
        height, width = counts.shape
        stream = self._stream
        if stream is None:
            stream = self._stream = self._open((height, width), pair)
        if (stream.width, stream.height) != (width, height):
            raise UserError(
                f"{self._output.path} ends where the infrared became {width}x{height}, not "
                f"{stream.width}x{stream.height}"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(counts), format="gray16le")
        frame.pts = ticks_from_ns(pair.stamps.pts_ns, MILLISECOND)
        frame.time_base = MILLISECOND
        try:
            packets = stream.encode(frame)
        except av.FFmpegError as error:
            raise self._output.unwritable(error) from None
        self._file.mux(packets)

    def _open(self, size: Size, pair: RegisteredPair) -> av.VideoStream:
        note = CountsNote(pair.size[::-1], _to_infrared(pair, size), self._scale)
        tags = {TAG: msgspec.json.encode(note).decode()}
        stream = self._file.open("ffv1", self._rate, MILLISECOND, tags)
        stream.height, stream.width = size
        stream.pix_fmt = "gray16le"
        return stream


def read_counts(path: Path, frame: int, at: tuple[int, int]) -> Reading:
    """Counts file, frame number from 0, (x, y) pixel of the fused picture -> Reading.

    Raises UserError for a file, frame or place that is not there.
    """
    try:
        with open_media(path) as container:
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
            f"{path} is not a counts file ({error}); write one: "
            "mgdn fuse ... --record-infrared FILE.mkv"
        ) from None


def _to_infrared(pair: RegisteredPair, size: Size) -> tuple[float, ...]:
    """Homography of fused pixels to those of an infrared picture of ``size``, row by row."""
    if pair.alignment is not None:
        onto = working_from_visible(pair.alignment.rig) @ pair.alignment.homography
        return tuple(float(value) for value in np.linalg.inv(onto).ravel())
    # Centres of pixels: (x + 0.5) of W is the same point as (x' + 0.5) of W'.
    down, across = size[0] / pair.size[0], size[1] / pair.size[1]
    return (across, 0.0, (across - 1) / 2, 0.0, down, (down - 1) / 2, 0.0, 0.0, 1.0)


def _reading(
    counts: np.ndarray[tuple[int, ...], np.dtype[np.uint16]],
    at: tuple[int, int],
    note: CountsNote,
    seconds: float,
) -> Reading:
    width, height = note.fused_width_height
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
