"""Fused video out to an RTSP server (RECORD), such as MediaMTX; found again when it restarts."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av

from mgdn_edge.runtime.capture.cameras.backoff import Backoff
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.partial_file import Kept
from mgdn_edge.runtime.output.video import H264Sink
from mgdn_edge.runtime.picture.frame import SourceInfo, VisibleFrame
from mgdn_edge.runtime.secrets.redaction import redact

if TYPE_CHECKING:
    from mgdn_edge.runtime.output.video import Packets

OPTIONS = {"rtsp_transport": "tcp"}
OPEN_SECONDS, WRITE_SECONDS = 3.0, 3.0


class RtspSink(H264Sink):
    """H.264 to ``rtsp://``, a key frame a second. Frames without a server are ``lost``, not kept.

    Raises UserError where no server takes the very first frame.
    """

    def __init__(self, uri: str, source: SourceInfo) -> None:
        super().__init__(source, live=True)
        self.path = Path(redact(uri))
        self._uri = uri
        self._container: av.container.OutputContainer | None = None
        self._backoff = Backoff()
        self._retry_at = 0.0
        self._connected_once = False
        self.lost: int = 0
        self.reconnects: int = 0

    @property
    def uri(self) -> str:
        """The address, without its password."""
        return redact(self._uri)

    def encode(self, picture: av.VideoFrame, visible: VisibleFrame) -> Packets:
        """Encoder frame -> packets; none while there is no server."""
        if self._container is None and not self._connect(picture, visible):
            return []
        return super().encode(picture, visible)

    def output(self, encoded: Packets) -> None:
        """Send the packets; a lost connection is noted and tried again later."""
        if self._container is None:
            self.lost += 1
            return
        try:
            self._container.mux(encoded)
        except (av.FFmpegError, OSError):
            self.lost += 1
            self._disconnect()
            self._retry_at = time.monotonic() + self._backoff.next_seconds()

    def close(self) -> None:
        """Say good-bye to the server, if it still listens."""
        self._disconnect()

    def keep(self) -> Kept | None:
        """As ``close``: what was sent is sent."""
        self._disconnect()
        return None

    def _connect(self, picture: av.VideoFrame, visible: VisibleFrame) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        try:
            self._stream = self._open(picture, visible)
            assert self._container is not None
            self._container.start_encoding()
        except (UserError, av.FFmpegError, OSError) as error:
            failure = error if isinstance(error, UserError) else self._unwritable(error)
        else:
            self.reconnects += self._connected_once
            self._connected_once = True
            self._backoff.succeeded()
            return True
        self._disconnect()
        if not self._connected_once:
            failure.__context__ = None  # FFmpeg's own error quotes the password
            raise failure
        self._retry_at = time.monotonic() + self._backoff.next_seconds()
        return False

    def _disconnect(self) -> None:
        container, self._container, self._stream = self._container, None, None
        if container is not None:
            with suppress(av.FFmpegError, OSError):
                container.close()

    def _new_stream(self) -> av.VideoStream:
        try:
            self._container = av.open(
                self._uri,
                "w",
                format="rtsp",
                options=OPTIONS,
                timeout=(OPEN_SECONDS, WRITE_SECONDS),
            )
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None
        stream = self._container.add_stream("libx264", rate=self._rate)
        stream.time_base = stream.codec_context.time_base = self._time_base
        return stream

    def _encoder_options(self) -> dict[str, str]:
        return {**super()._encoder_options(), "g": str(max(1, round(self._rate)))}

    def _unwritable(self, error: Exception) -> UserError:
        reason = getattr(error, "strerror", None) or str(error)
        return UserError(
            f"cannot send to {self.uri} ({reason}); start an RTSP server there that takes "
            "streams, such as MediaMTX"
        )
