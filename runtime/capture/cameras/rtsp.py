"""RTSP cameras: read without delay, stamped by their own clock, connected again when lost."""

from __future__ import annotations

import struct
import threading
from collections.abc import Generator
from fractions import Fraction
from typing import Literal

import av

from mgdn_edge.runtime.capture.cameras.backoff import Backoff
from mgdn_edge.runtime.capture.clocks import live_clock
from mgdn_edge.runtime.capture.clocks.arrival_clock import ArrivalClock
from mgdn_edge.runtime.capture.files.video import ns_from_ticks
from mgdn_edge.runtime.capture.frames.planes import frame_planes
from mgdn_edge.runtime.capture.frames.raw_frame import RawFrame, Reader
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import SourceInfo
from mgdn_edge.runtime.secrets.redaction import redact

MICROSECOND = Fraction(1, 1_000_000)
# TCP: a lost UDP packet smears the picture until the next key frame. The demuxer and the decoder
# are told not to wait for more than they need.
OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
OPEN_SECONDS, READ_SECONDS = 5.0, 3.0
# A camera whose wall clock is further off than this was never set.
MOST_CLOCK_ERROR_NS = 2_000_000_000
SENDER_CLOCK: Literal["prft"] = "prft"  # FFmpeg: AVProducerReferenceTime, from RTCP sender reports


class RtspReader(Reader):
    """One RTSP stream. Connects when made; raises UserError where no camera answers.

    A stream that ends or stalls is connected again, with pauses of up to five seconds, until it
    is interrupted. Frames are stamped by the camera's sender reports where it sends them and its
    wall clock is right, else by their arrival without its jitter.
    """

    def __init__(self, uri: str) -> None:
        self._uri, self._shown = uri, redact(uri)
        self._stopped = threading.Event()
        self.reconnects: int = 0
        self._container: av.container.InputContainer | None = self._connect()
        stream = self._container.streams.video[0]
        size = (stream.codec_context.height, stream.codec_context.width)
        rate = stream.average_rate or stream.guessed_rate
        self.info = SourceInfo(
            self._shown, size if min(size) > 0 else None, None, rate, MICROSECOND, live=True
        )

    def _connect(self) -> av.container.InputContainer:
        try:
            return self._open()
        except (av.FFmpegError, OSError) as error:
            reason = _reason(error)
        # Raised out here: FFmpeg's own error quotes the password and must not be the context.
        raise UserError(
            f"cannot read {self._shown} ({reason}); check the address, user and password in a "
            f"player, such as: ffplay -rtsp_transport tcp {self._shown}"
        )

    def _open(self) -> av.container.InputContainer:
        container = av.open(self._uri, options=OPTIONS, timeout=(OPEN_SECONDS, READ_SECONDS))
        if not container.streams.video:
            container.close()
            raise OSError("the stream holds no video")
        container.streams.video[0].thread_type = "SLICE"  # frame threads hold frames back
        return container

    def interrupt(self) -> None:
        """Ends ``frames`` within the read time-out."""
        self._stopped.set()

    def close(self) -> None:
        """Disconnect."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def frames(self) -> Generator[RawFrame, None, None]:
        """Frames as they come, across reconnections, until interrupted."""
        self._stopped.clear()
        backoff, seq = Backoff(), 0
        while not self._stopped.is_set():
            try:
                if self._container is None:
                    self._container = self._open()
                    self.reconnects += 1
                for raw in self._read(self._container, seq):
                    backoff.succeeded()
                    seq = raw.seq + 1
                    yield raw
                    if self._stopped.is_set():
                        return
            except (av.FFmpegError, OSError):
                pass  # lost: the pause below, then another try
            self.close()
            self._stopped.wait(backoff.next_seconds())

    def _read(
        self, container: av.container.InputContainer, seq: int
    ) -> Generator[RawFrame, None, None]:
        stream = container.streams.video[0]
        time_base = stream.time_base or MICROSECOND
        clock = ArrivalClock()
        stamps: dict[int | None, int] = {}
        for packet in container.demux(stream):
            arrival_ns = live_clock.now_ns()
            sent_ns = sender_stamp(packet)
            if packet.pts is not None:
                placed = clock.place(ns_from_ticks(packet.pts, time_base), arrival_ns)
                right = sent_ns is not None and abs(sent_ns - arrival_ns) < MOST_CLOCK_ERROR_NS
                stamps[packet.pts] = sent_ns if right and sent_ns is not None else placed
            for frame in packet.decode():
                planes = frame_planes(frame)
                yield RawFrame(
                    y=planes.y,
                    chroma=planes.chroma,
                    subsampling=planes.subsampling,
                    bits=planes.bits,
                    tags=planes.tags,
                    pts_ns=stamps.pop(frame.pts, arrival_ns),
                    seq=seq,
                    stem=None,
                    origin=f"frame {seq} of {self._shown}",
                )
                seq += 1
            while len(stamps) > 64:  # packets that never became a frame
                stamps.pop(next(iter(stamps)))


def sender_stamp(packet: av.Packet[av.VideoStream]) -> int | None:
    """When the camera says it took the picture, on the live clock; None without sender reports."""
    if not packet.has_sidedata(SENDER_CLOCK):
        return None
    # AVProducerReferenceTime: int64 microseconds since 1970, int flags.
    data = bytes(packet.get_sidedata(SENDER_CLOCK))
    (microseconds,) = struct.unpack_from("=q", data)
    return live_clock.from_wall(microseconds * 1000)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
