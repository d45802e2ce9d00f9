"""V4L2 cameras (USB, capture cards) through linuxpy: kernel time stamps, formats as they come."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from mgdn_edge.runtime.capture.cameras.camera_uri import CameraOptions, parse_options, split_uri
from mgdn_edge.runtime.capture.cameras.pixel_buffers import FOURCC, BufferDecoder
from mgdn_edge.runtime.capture.clocks import live_clock
from mgdn_edge.runtime.capture.frames.raw_frame import Band, RawFrame, Reader
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Size, SourceInfo

MICROSECOND = Fraction(1, 1_000_000)
NS = 1_000_000_000
# What a camera is asked for, best first: no decompression, then what keeps most of the picture.
PREFERRED: dict[Band, tuple[str, ...]] = {
    "visible": ("NV12", "YUYV", "I420", "MJPG", "GREY"),
    "infrared": ("Y16", "GREY", "YUYV", "NV12", "I420", "MJPG"),
}
DRIVER_NAMES = {"MJPG": "MJPEG", "I420": "YUV420"}  # linuxpy's, where they are not ours
BUFFERS = 4
INSTALL = "pip install 'mgdn-edge[v4l2]'"


class Buffer(Protocol):
    """A filled driver buffer: bytes and seconds of CLOCK_MONOTONIC."""

    data: Any
    timestamp: float


class Capture(Protocol):
    """An open camera, its format set. ``formats`` are V4L2 names it offers."""

    format: str
    size: Size
    stride: int
    fps: Fraction | None

    def buffers(self) -> Iterator[Buffer]:
        """Filled buffers; each is the driver's again at the next."""

    def close(self) -> None:
        """Stop the camera."""


OpenCapture = Callable[[Path, CameraOptions, tuple[str, ...]], Capture]


class LinuxpyCapture:
    """``Capture`` of linuxpy. Raises UserError where the camera cannot be used."""

    def __init__(self, path: Path, options: CameraOptions, preferred: tuple[str, ...]) -> None:
        try:
            from linuxpy.video.device import Device, PixelFormat, VideoCapture
        except ImportError:
            raise UserError(f"v4l2:// needs linuxpy, not installed here; run: {INSTALL}") from None
        self._stack = contextlib.ExitStack()
        try:
            self._device = self._stack.enter_context(Device(path))
            self._capture = VideoCapture(self._device, size=BUFFERS)
            now = self._capture.get_format()
            offered = {
                FOURCC[entry.pixel_format.name]
                for entry in self._device.info.formats
                if entry.pixel_format.name in FOURCC
            }
            chosen = choose_format(path, options.format, offered, preferred)
            height, width = options.size or (now.height, now.width)
            self._capture.set_format(width, height, PixelFormat[DRIVER_NAMES.get(chosen, chosen)])
            if options.fps is not None:
                self._capture.set_fps(float(options.fps))
            now = self._capture.get_format()
            self.format, self.size = chosen, (int(now.height), int(now.width))
            self.stride = int(getattr(now, "bytes_per_line", 0) or 0)
            self.fps: Fraction | None = Fraction(self._capture.get_fps()).limit_denominator(10_000)
        except (OSError, ValueError) as error:
            self._stack.close()
            raise UserError(
                f"cannot open camera {path} ({error}); see what is there: mgdn cameras, or "
                "whether another program has it: fuser -v " + str(path)
            ) from None
        except UserError:
            self._stack.close()
            raise

    def buffers(self) -> Iterator[Buffer]:
        """Filled buffers as they come."""
        with self._capture:
            yield from self._capture

    def close(self) -> None:
        """Close the device."""
        self._stack.close()


def choose_format(
    path: Path, asked: str | None, offered: set[str], preferred: tuple[str, ...]
) -> str:
    """The layout to use of those ``offered``: the one asked for, else the first preferred."""
    wanted = [FOURCC.get(asked, asked)] if asked is not None else list(preferred)
    for name in wanted:
        if name in offered:
            return name
    raise UserError(
        f"{path} offers {', '.join(sorted(offered)) or 'no format that mgdn reads'}, "
        f"wanted {' or '.join(wanted)}; choose with ?format="
    )


class V4l2Reader(Reader):
    """``v4l2:///dev/videoN?size=640x480&fps=30&format=Y16``, opened when made."""

    def __init__(self, uri: str, camera: Band, open_capture: OpenCapture = LinuxpyCapture) -> None:
        parts = split_uri(uri)
        options = parse_options(uri, parts.query, ("size", "fps", "format"))
        if parts.netloc or not parts.path.startswith("/"):
            raise UserError(f"{uri} names no device; give v4l2:///dev/video0, with three slashes")
        self._stopped = threading.Event()
        self._uri = uri
        self._capture = open_capture(Path(parts.path), options, PREFERRED[camera])
        self._decoder = BufferDecoder(
            self._capture.format, self._capture.size, self._capture.stride
        )
        self.info = SourceInfo(
            uri, self._capture.size, None, self._capture.fps, MICROSECOND, live=True
        )

    def interrupt(self) -> None:
        """Ends ``frames`` at the next buffer."""
        self._stopped.set()

    def close(self) -> None:
        """Stop the camera."""
        self._capture.close()

    def frames(self) -> Generator[RawFrame, None, None]:
        """Frames as they come; buffers the driver cut short are left out."""
        self._stopped.clear()
        seq = 0
        for buffer in self._capture.buffers():
            if self._stopped.is_set():
                return
            planes = self._decoder.decode(buffer.data)
            if planes is None:
                continue
            yield RawFrame(
                y=planes.y,
                chroma=planes.chroma,
                subsampling=planes.subsampling,
                bits=planes.bits,
                tags=planes.tags,
                pts_ns=live_clock.from_monotonic(round(buffer.timestamp * NS)),
                seq=seq,
                stem=None,
                origin=f"frame {seq} of {self._uri}",
            )
            seq += 1
