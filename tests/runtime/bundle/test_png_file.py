import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.bundle.png_file import is_bounded_grey_png
from mgdn_edge.runtime.fusion.contract.golden_check import encode_plane
from mgdn_edge.runtime.picture.png_chunks import PNG_SIGNATURE

PLANE = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png(width=1, height=1, rest=(8, 0, 0, 0, 0), between=b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">2L5B", width, height, *rest))
    body = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    return PNG_SIGNATURE + header + between + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1, 1), (12, 16), (480, 640), (1, 8192)])
def test_what_opencv_writes_is_accepted(size):
    noise = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    assert is_bounded_grey_png(encode_plane(noise))


def test_several_image_chunks_are_accepted():
    data = zlib.compress(bytes(2))
    parts = chunk(b"IDAT", data[:3]) + chunk(b"IDAT", data[3:])
    header = chunk(b"IHDR", struct.pack(">2L5B", 1, 1, 8, 0, 0, 0, 0))
    assert is_bounded_grey_png(PNG_SIGNATURE + header + parts + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PNG_SIGNATURE,
        b"GIF89a" + bytes(50),
        png(0, 1),
        png(8193, 1),
        png(8192, 8192 // 4),
        png(rest=(16, 0, 0, 0, 0)),
        png(rest=(8, 2, 0, 0, 0)),
        png(rest=(8, 0, 0, 0, 1)),
        png(between=chunk(b"tEXt", b"a\0b")),
        png(between=chunk(b"IHDR", bytes(13))),
        png() + b"\0",
        png()[:-1],
        png()[:40],
        PNG_SIGNATURE + chunk(b"IEND", b""),
        PNG_SIGNATURE + chunk(b"IHDR", b"") + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
    ],
)
def test_anything_else_is_refused(data):
    assert not is_bounded_grey_png(data)


def test_every_flipped_bit_is_refused():
    data = encode_plane(PLANE)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        assert not is_bounded_grey_png(bytes(damaged))


def test_a_chunk_that_claims_four_gigabytes_is_refused_at_once():
    damaged = bytearray(encode_plane(PLANE))
    damaged[33] = 255  # the first IDAT's length
    begin = time.process_time()
    assert not is_bounded_grey_png(bytes(damaged))
    assert time.process_time() - begin < 0.1


def test_coloured_pictures_are_refused():
    done, data = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    assert done and not is_bounded_grey_png(data.tobytes())
