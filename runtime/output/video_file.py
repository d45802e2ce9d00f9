"""VideoFile: a video file that is playable at any time, and has its name when it is complete."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av

from mgdn_edge.runtime.capture.files.local_media import create_media
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.partial_file import Kept, PartialFile
from mgdn_edge.runtime.whole_file import Output

Packets = Iterable["av.Packet[av.VideoStream]"]

# A fragment is playable as soon as it is written; a crash loses at most the last half second
# (plus the encoder's look-ahead).
FRAGMENT_SECONDS = 0.5
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


class VideoFile:
    """Matroska or MP4 by its name; one stream whose packets are a frame each.

    ``begin``, ``open``, ``mux`` for each frame, then ``complete`` or ``keep``. Raises UserError
    where it cannot be written.
    """

    def __init__(self, output: Output) -> None:
        self.kept: Kept | None = None
        self._partial = PartialFile(output)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._failure: Exception | None = None
        self._frames = 0
        self._whole_bytes = self._whole_frames = 0  # up to the last fragment that is complete

    @property
    def path(self) -> Path:
        """Where it grows."""
        return self._partial.path

    def begin(self) -> None:
        """Take the partial name and lock it, unless that is done."""
        if not self._partial.begun:
            self._partial.begin()

    def open(
        self, codec: str, rate: Fraction, time_base: Fraction, tags: dict[str, str] | None = None
    ) -> av.VideoStream:
        """Open the container, with ``tags``, and a stream whose encoder the caller sets up."""
        self.begin()
        is_mkv = self._partial.output.path.suffix.lower() == ".mkv"
        options = dict(MKV_OPTIONS if is_mkv else MP4_OPTIONS)
        if not is_mkv:
            # The muxer would multiply a coarse time base; the input's is kept.
            options["video_track_timescale"] = str(time_base.denominator)
        try:
            self._container = create_media(self.path, options)
        except (av.FFmpegError, OSError) as error:
            raise self._unwritable(error) from None
        self._container.metadata.update(tags or {})
        stream = cast("av.VideoStream", self._container.add_stream(codec, rate=rate))
        stream.time_base = stream.codec_context.time_base = time_base
        self._stream = stream
        return stream

    def mux(self, packets: Packets) -> None:
        """Into the file, which grows whenever a fragment is complete."""
        assert self._container is not None
        try:
            self._mux(self._container, packets)
        except (av.FFmpegError, OSError) as error:
            self._failure = error
            raise self._unwritable(error) from None

    def complete(self) -> None:
        """End the file and give it its name; without a frame there is none."""
        self._end()
        if self._failure is not None:
            raise self._unwritable(self._failure)
        if not self._frames:
            self._partial.leave(empty=True)
        self._partial.complete()

    def keep(self) -> Kept | None:
        """End early, unless that is done: what is kept under the partial name, if anything."""
        self._end()
        if self._partial.begun:
            self._partial.leave(empty=not self._frames)
            self.kept = Kept(self.path, self._frames) if self._frames else None
        return self.kept

    def _mux(self, container: av.container.OutputContainer, packets: Packets) -> None:
        for packet in packets:
            container.mux(packet)
            # The muxer ends one fragment before it takes the packet that begins the next.
            if (size := self._partial.size) != self._whole_bytes:
                self._whole_bytes, self._whole_frames = size, self._frames
            self._frames += 1

    def _end(self) -> None:
        """Flush the encoder, close the container; cut off what did not become whole."""
        container, self._container = self._container, None
        if container is None or self._stream is None:
            return
        try:
            try:
                self._mux(container, self._stream.encode(None))
            finally:
                container.close()
        except (av.FFmpegError, OSError) as error:
            self._failure = self._failure or error
        if self._failure is not None:
            self._partial.cut(self._whole_bytes)
            self._frames = self._whole_frames

    def _unwritable(self, error: Exception) -> UserError:
        return self._partial.output.unwritable(error)
