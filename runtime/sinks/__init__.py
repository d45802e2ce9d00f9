"""Sinks by the name of OUTPUT: a video, a folder of PNG, or one image."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.frame import SourceInfo
from mgdn_edge.runtime.redaction import remember_secrets
from mgdn_edge.runtime.sinks.base import Sink
from mgdn_edge.runtime.sinks.images import ImagesSink
from mgdn_edge.runtime.sinks.rtsp import RtspSink
from mgdn_edge.runtime.sinks.video import VideoSink
from mgdn_edge.runtime.sources import local_path
from mgdn_edge.runtime.sources.image_file import IMAGE_SUFFIXES, READ_SUFFIXES

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")

AnySink = Sink[Any, Any]  # what a sink passes between its own stages is its own business

__all__ = ["AnySink", "Sink", "open_sink"]


def open_sink(
    uri: str, source: SourceInfo, frames: int, inputs: Iterable[Path], *, live: bool = False
) -> AnySink:
    """OUTPUT as typed, what the visible source promises, how many frames, all input files.

    Creates nothing. Raises UserError where OUTPUT cannot be written, names no known kind of
    file, cannot hold ``frames``, or would overwrite an input.
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
    is_folder = path.is_dir() or uri.endswith("/") or not suffix
    _check_writable(path)
    _check_not_input(path, inputs, is_folder=is_folder)
    if is_folder:
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; name a folder, or OUTPUT.mp4 for a video")
        return ImagesSink(path, single=False)
    if suffix in VIDEO_SUFFIXES:
        return VideoSink(path, source, live=live)
    if suffix not in IMAGE_SUFFIXES:
        raise UserError(
            f"{path} names no kind of output that is written; end it in "
            f"{' '.join(VIDEO_SUFFIXES)} for a video, {' '.join(IMAGE_SUFFIXES)} for one image, "
            "or / for a folder of PNG"
        )
    if frames != 1:
        raise UserError(
            f"{path} is one image but there are {frames} frames; give a folder, a video "
            "(OUTPUT.mp4) or --frames 1"
        )
    return ImagesSink(path, single=True)


def _check_writable(path: Path) -> None:
    target = path if path.exists() else path.parent
    if not path.exists() and not target.is_dir():
        raise UserError(f"{target} is not a folder; create it first: mkdir -p {target}")
    # Searching a folder needs x as well as w.
    needed = os.W_OK | os.X_OK if target.is_dir() else os.W_OK
    if not os.access(target, needed):
        raise UserError(f"cannot write {path} (no permission in {target}); give another OUTPUT")


def _check_not_input(path: Path, inputs: Iterable[Path], *, is_folder: bool) -> None:
    for source in inputs:
        same = path.exists() and path.samefile(source.parent if is_folder else source)
        if same and (not is_folder or source.suffix.lower() in READ_SUFFIXES):
            raise UserError(
                f"OUTPUT {path} would overwrite the input {source}; give another OUTPUT"
            )
