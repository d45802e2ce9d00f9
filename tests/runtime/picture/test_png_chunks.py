"""The one walk over PNG chunks, beside what OpenCV writes and files cut at every byte."""

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.picture.png_chunks import (
    PNG_SIGNATURE,
    encode_chunk,
    is_sound,
    walk_chunks,
)


@pytest.fixture
def png():
    picture = np.random.default_rng(5).integers(0, 256, (7, 9, 3), np.uint8)
    return cv2.imencode(".png", picture)[1].tobytes()


def test_what_opencv_writes_is_put_together_again(png):
    chunks = list(walk_chunks(png))
    assert [chunks[0].kind, chunks[-1].kind] == [b"IHDR", b"IEND"]
    assert all(is_sound(png, chunk) for chunk in chunks)
    parts = [encode_chunk(chunk.kind, png[chunk.begin : chunk.end]) for chunk in chunks]
    assert PNG_SIGNATURE + b"".join(parts) == png


def test_a_file_cut_anywhere_lacks_its_last_chunk(png):
    for length in range(len(png)):
        assert b"IEND" not in [chunk.kind for chunk in walk_chunks(png[:length])]
    assert [chunk.kind for chunk in walk_chunks(png + b"more")][-1] == b"IEND"


def test_a_changed_body_or_kind_is_not_sound(png):
    first = next(walk_chunks(png))
    for position in (first.begin - 1, first.begin, first.end - 1, first.end):
        changed = bytearray(png)
        changed[position] ^= 4
        assert not is_sound(bytes(changed), next(walk_chunks(bytes(changed))))


def test_other_files_have_no_chunks(png):
    assert not [*walk_chunks(b""), *walk_chunks(png[1:]), *walk_chunks(b"GIF89a" + bytes(99))]


def test_a_chunk_longer_than_the_file_is_not_given(png):
    lying = PNG_SIGNATURE + b"\xff\xff\xff\xf0IDAT" + bytes(64)
    assert not list(walk_chunks(lying))
