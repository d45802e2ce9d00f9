"""open_media and create_media: a local file through FFmpeg, as that file and nothing else.

FFmpeg takes names for addresses (``cam1:o.mp4`` names a protocol) and some files for lists of
others (playlists): a name stands for the file of that name, opened by the file protocol alone, and
only containers that hold their own data are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av

# FFmpeg's demuxers of files that people record and copy; none of them opens another file.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf",
    "ogg", "mxf", "nut", "ivf", "h264", "hevc", "m4v", "obu", "av1", "vvc", "mjpeg", "mjpeg_2000",
    "yuv4mpegpipe", "gif", "apng", "dv", "wtv", "rm", "gxf", "swf", "vc1", "dnxhd", "dirac",
    "cavsvideo", "jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "pgm_pipe",
    "ppm_pipe", "pam_pipe", "wav", "mp3", "flac",
)  # fmt: skip
READING = {"protocol_whitelist": "file", "format_whitelist": ",".join(CONTAINERS)}


def open_media(path: Path) -> av.container.InputContainer:
    """Open ``path`` for reading; raises av.FFmpegError."""
    return av.open(f"file:{path}", options=READING)


def create_media(path: Path, options: Mapping[str, str]) -> av.container.OutputContainer:
    """Open ``path`` for writing, its kind by its suffix; raises av.FFmpegError or OSError."""
    return av.open(f"file:{path}", "w", container_options=dict(options))
