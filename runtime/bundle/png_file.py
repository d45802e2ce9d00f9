"""Look into a PNG file before any decoder does: grey, 8-bit, of bounded size, chunks sound.

A chunk states its own length, and OpenCV 5.0.0 allocates it before it looks whether the file
holds as much: 180 bytes then take 4 GiB and ten seconds. A test fails without this check.
"""

from __future__ import annotations

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNK = struct.Struct(">L4s")
HEADER = struct.Struct(">2L5B")  # sides, depth, colour type, compression, filter, interlace
CHECKSUM_BYTES = 4
MAX_SIDE = 8192
MAX_PIXELS = 1 << 23  # a 4K frame; comparing two takes about ten such planes of float64


def is_bounded_grey_png(data: bytes) -> bool:
    """True for IHDR, IDAT chunks and IEND that fill the file, their checksums right.

    The header states 8-bit grey, not interlaced, at most MAX_SIDE a side and MAX_PIXELS in all.
    """
    if not data.startswith(PNG_SIGNATURE):
        return False
    position, kinds = len(PNG_SIGNATURE), []
    while position + CHUNK.size + CHECKSUM_BYTES <= len(data):
        length, kind = CHUNK.unpack_from(data, position)
        body, end = position + CHUNK.size, position + CHUNK.size + length
        if end + CHECKSUM_BYTES > len(data):
            return False
        (checksum,) = struct.unpack_from(">L", data, end)
        if zlib.crc32(data[body - len(kind) : end]) != checksum:
            return False
        kinds.append(kind)
        position = end + CHECKSUM_BYTES
    wanted = [b"IHDR", *[b"IDAT"] * (len(kinds) - 2), b"IEND"]
    if position != len(data) or len(kinds) < 3 or kinds != wanted:
        return False
    return _is_bounded_grey(data[len(PNG_SIGNATURE) :])


def _is_bounded_grey(header_chunk: bytes) -> bool:
    length, _ = CHUNK.unpack_from(header_chunk)
    if length != HEADER.size:
        return False
    width, height, *rest = HEADER.unpack_from(header_chunk, CHUNK.size)
    sides = min(width, height) >= 1 and max(width, height) <= MAX_SIDE
    return sides and width * height <= MAX_PIXELS and rest == [8, 0, 0, 0, 0]
