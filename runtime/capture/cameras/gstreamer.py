"""Any GStreamer pipeline as a camera, where PyGObject is: ``gst:PIPELINE`` and ``csi://N``."""

from __future__ import annotations

import threading
from collections.abc import Generator
from fractions import Fraction
from typing import Any

from mgdn_edge.runtime.capture.cameras.camera_uri import parse_options, split_uri
from mgdn_edge.runtime.capture.cameras.pixel_buffers import FOURCC, BufferDecoder
from mgdn_edge.runtime.capture.clocks import live_clock
from mgdn_edge.runtime.capture.frames.raw_frame import RawFrame, Reader
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import SourceInfo
from mgdn_edge.runtime.secrets.redaction import redact

MICROSECOND = Fraction(1, 1_000_000)
START_SECONDS, FRAME_SECONDS = 10, 3
NO_FRAME = "no frame came"
# One buffer, the newest: a slow reader must not make the picture old.
SINK = "appsink name=mgdn max-buffers=1 drop=true sync=false"
NEEDED = (
    "GStreamer pipelines need PyGObject, which this Python does not see; as root: apt install "
    "python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good, and create the environment "
    "with python3 -m venv --system-site-packages"
)


def csi_pipeline(uri: str) -> str:
    """``csi://N?size=1280x720&fps=30`` -> the pipeline of a Jetson's MIPI camera N."""
    parts = split_uri(uri)
    if not parts.netloc.isdecimal() or parts.path not in ("", "/"):
        raise UserError(f"{uri} names no camera; give csi://0")
    options = parse_options(uri, parts.query, ("size", "fps"))
    height, width = options.size or (720, 1280)
    rate = options.fps or Fraction(30)
    return (
        f"nvarguscamerasrc sensor-id={parts.netloc} ! video/x-raw(memory:NVMM),width={width},"
        f"height={height},framerate={rate.numerator}/{rate.denominator},format=NV12 ! "
        "nvvidconv ! video/x-raw,format=NV12"
    )


class GstreamerReader(Reader):
    """The pipeline's last element feeds us; raises UserError where it does not start."""

    def __init__(self, uri: str) -> None:
        self._shown = redact(uri)
        pipeline = csi_pipeline(uri) if uri.startswith("csi:") else uri.partition(":")[2]
        self._gst, self._video = load_gstreamer()
        gst = self._gst
        self._stopped = threading.Event()
        accepted = ",".join(name for name in FOURCC if name in GST_FORMATS)
        reason = ""
        try:
            self._pipeline = gst.parse_launch(
                f"{pipeline} ! capsfilter caps=video/x-raw,format={{{accepted}}} ! {SINK}"
            )
        except self._error as error:
            reason = str(getattr(error, "message", error))
        if reason:  # raised out here, so that GStreamer's own error is not shown as its context
            raise UserError(
                f"{uri} is not a pipeline ({reason}); try it: gst-launch-1.0 {pipeline} ! fakesink"
            )
        self._sink = self._pipeline.get_by_name("mgdn")
        self._pipeline.set_state(gst.State.PLAYING)
        # The first picture tells size and format; it is shown again only by the next one.
        sample, reason = None, NO_FRAME
        for _ in range(START_SECONDS * 4):
            sample = self._sink.emit("try-pull-sample", gst.SECOND // 4)
            reason = self._failure()
            if sample is not None or reason != NO_FRAME:
                break
        if sample is None:
            self.close()
            raise UserError(
                f"{uri} gave no picture ({reason}); try it: gst-launch-1.0 {pipeline} ! fakesink"
            )
        info = self._video.VideoInfo.new_from_caps(sample.get_caps())
        self._decoder = BufferDecoder(
            info.finfo.name, (info.height, info.width), int(info.stride[0])
        )
        rate = Fraction(info.fps_n, info.fps_d) if info.fps_n and info.fps_d else None
        self.info = SourceInfo(uri, (info.height, info.width), None, rate, MICROSECOND, live=True)

    @property
    def _error(self) -> type[Exception]:
        from gi.repository import GLib

        error: type[Exception] = GLib.Error
        return error

    def _failure(self) -> str:
        gst = self._gst
        message = self._pipeline.get_bus().timed_pop_filtered(0, gst.MessageType.ERROR)
        return NO_FRAME if message is None else str(message.parse_error()[0].message)

    def interrupt(self) -> None:
        """Ends ``frames`` within a frame's time-out."""
        self._stopped.set()

    def close(self) -> None:
        """Stop the pipeline."""
        self._pipeline.set_state(self._gst.State.NULL)

    def frames(self) -> Generator[RawFrame, None, None]:
        """Frames until the pipeline ends; raises UserError where it fails."""
        self._stopped.clear()
        gst, seq = self._gst, 0
        while not self._stopped.is_set():
            sample = self._sink.emit("try-pull-sample", FRAME_SECONDS * gst.SECOND)
            if sample is None:
                if self._sink.get_property("eos"):
                    return
                reason = self._failure()
                if reason != NO_FRAME:
                    raise UserError(f"{self._shown} failed ({reason}); start it again")
                continue
            frame = self._frame(sample, seq)
            if frame is not None:
                yield frame
                seq += 1

    def _frame(self, sample: Any, seq: int) -> RawFrame | None:  # noqa: ANN401 - no stubs
        buffer = sample.get_buffer()
        readable, mapped = buffer.map(self._gst.MapFlags.READ)
        if not readable:
            return None
        try:
            planes = self._decoder.decode(mapped.data)
        finally:
            buffer.unmap(mapped)
        if planes is None:
            return None
        return RawFrame(
            y=planes.y,
            chroma=planes.chroma,
            subsampling=planes.subsampling,
            bits=planes.bits,
            tags=planes.tags,
            pts_ns=self._taken_ns(buffer.pts),
            seq=seq,
            stem=None,
            origin=f"frame {seq} of {self._shown}",
        )

    def _taken_ns(self, pts: int) -> int:
        """Stamp in running time -> live clock: how long ago it was, taken off now."""
        clock = self._pipeline.get_clock()
        if clock is None or pts == self._gst.CLOCK_TIME_NONE:
            return live_clock.now_ns()
        running = clock.get_time() - self._pipeline.get_base_time()
        return live_clock.now_ns() - max(0, int(running) - int(pts))


# FOURCC's names that are GStreamer's.
GST_FORMATS = ("GRAY16_LE", "GRAY8", "NV12", "YUY2", "I420")


def load_gstreamer() -> tuple[Any, Any]:
    """(Gst, GstVideo), initialised; raises UserError naming the packages to install."""
    try:
        import gi

        for name in ("Gst", "GstApp", "GstVideo"):
            gi.require_version(name, "1.0")
        from gi.repository import Gst, GstApp, GstVideo  # noqa: F401 - GstApp's signals
    except (ImportError, ValueError):
        raise UserError(NEEDED) from None
    Gst.init(None)
    return Gst, GstVideo
