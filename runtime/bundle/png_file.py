"""Look into a PNG file before any decoder does: grey, 8-bit, of bounded size, chunks sound.

A chunk states its own length, and OpenCV 5.0.0 allocates it before it looks whether the file
holds as much: 180 bytes then take 4 GiB and ten seconds. A test fails without this check.
"""

from __future__ import annotations

import struct

from mgdn_edge.runtime.picture.png_chunks import Chunk, is_sound, walk_chunks

HEADER = struct.Struct(">2L5B")  # sides, depth, colour type, compression, filter, interlace
MAX_SIDE = 8192
MAX_PIXELS = 1 << 23  # a 4K frame; comparing two takes about ten such planes of float64


def is_bounded_grey_png(data: bytes) -> bool:
    """True for IHDR, IDAT chunks and IEND that fill the file, their checksums right.

    The header states 8-bit grey, not interlaced, at most MAX_SIDE a side and MAX_PIXELS in all.
    """
    chunks = list(walk_chunks(data))
    kinds = [chunk.kind for chunk in chunks]
    if len(kinds) < 3 or kinds != [b"IHDR", *[b"IDAT"] * (len(kinds) - 2), b"IEND"]:
        return False
    fill = chunks[-1].following == len(data)
    return fill and _is_bounded_grey(data, chunks[0]) and all(is_sound(data, c) for c in chunks)


def _is_bounded_grey(data: bytes, header: Chunk) -> bool:
    if header.end - header.begin != HEADER.size:
        return False
    width, height, *rest = HEADER.unpack_from(data, header.begin)
    sides = min(width, height) >= 1 and max(width, height) <= MAX_SIDE
    return sides and width * height <= MAX_PIXELS and rest == [8, 0, 0, 0, 0]
