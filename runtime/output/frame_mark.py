"""A mark in fused PNG frames: that mgdn wrote them, and whether they were changed since.

A ``tEXt`` chunk before the last one: keyword ``Software``, "mgdn fuse" and the SHA-256 of the file
without that chunk. So a later run knows an earlier one's frames, bit for bit, without a list.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mgdn_edge.runtime.picture.png_chunks import encode_chunk

END = encode_chunk(b"IEND", b"")
WORDS = b"Software\0mgdn fuse "
DIGEST_CHARACTERS = 64
CHUNK_BYTES = len(encode_chunk(b"tEXt", WORDS)) + DIGEST_CHARACTERS


def mark_frame(png: bytes) -> bytes:
    """The same picture with the mark; ``png`` as OpenCV encodes it, ending with IEND."""
    body = png.removesuffix(END)
    return body + _mark(png) + END


def is_unchanged_frame(path: Path) -> bool:
    """True for a file that ``mark_frame`` made and that was not changed; False for all else."""
    if path.suffix.lower() != ".png" or path.is_symlink() or not path.is_file():
        return False
    data = path.read_bytes()
    start = len(data) - CHUNK_BYTES - len(END)
    return start > 0 and data[start:] == _mark(data[:start] + END) + END


def _mark(png: bytes) -> bytes:
    return encode_chunk(b"tEXt", WORDS + hashlib.sha256(png).hexdigest().encode())
