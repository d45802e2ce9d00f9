"""Sinks by the name of OUTPUT: a video, a folder of PNG, or one image."""

from __future__ import annotations

from typing import Any

from mgdn_edge.runtime.capture.files.image_file import IMAGE_SUFFIXES, READ_SUFFIXES
from mgdn_edge.runtime.capture.sources import local_path
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.images import ImagesSink
from mgdn_edge.runtime.output.rtsp import RtspSink
from mgdn_edge.runtime.output.sink import Sink
from mgdn_edge.runtime.output.video import VideoSink
from mgdn_edge.runtime.picture.frame import SourceInfo
from mgdn_edge.runtime.secrets.redaction import remember_secrets
from mgdn_edge.runtime.whole_file import Outputs

OUTPUT = "OUTPUT"
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")

AnySink = Sink[Any, Any]  # what a sink passes between its own stages is its own business

__all__ = ["AnySink", "Sink", "open_sink"]


def open_sink(
    uri: str, source: SourceInfo, frames: int | None, outputs: Outputs, *, live: bool = False
) -> AnySink:
    """OUTPUT as typed, what the visible source promises, how many frames -> its sink.

    Claims OUTPUT in ``outputs`` and creates nothing. Raises UserError where it cannot be written,
    is of no known kind, cannot hold ``frames``, or belongs to the user.
    """
    remember_secrets(uri)
    if uri.lower().startswith("rtsp://"):
        if not live:
            raise UserError(f"{uri} is live, and these recordings are not: pass --pace source")
        return RtspSink(uri, source)
    if uri.lower().startswith("gst:"):
        raise UserError(f"{uri} is a source; give a file, a folder or rtsp:// as OUTPUT")
    path = local_path(uri)
    suffix = path.suffix.lower()
    if path.is_dir() or uri.endswith("/") or not suffix:
        return ImagesSink(outputs.claim_folder(path, OUTPUT, *READ_SUFFIXES), single=False)
    if suffix in VIDEO_SUFFIXES:
        return VideoSink(outputs.claim(path, OUTPUT), source, live=live)
    if suffix not in IMAGE_SUFFIXES:
        raise UserError(
            f"{path} is not a kind of output that mgdn writes; end it in "
            f"{' '.join(VIDEO_SUFFIXES)} for a video, {' '.join(IMAGE_SUFFIXES)} for one image, "
            "or / for a folder of PNG"
        )
    if frames != 1:
        raise UserError(
            f"{path} is one image but there are {frames} frames; give a folder, a video "
            "(OUTPUT.mp4) or --frames 1"
        )
    return ImagesSink(outputs.claim(path, OUTPUT), single=True)
