import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.capture.cameras.pixel_buffers import BufferDecoder
from mgdn_edge.runtime.errors import UserError

RNG = np.random.default_rng(4)


def test_y16_keeps_every_count_and_padding_is_cut():
    counts = RNG.integers(0, 65536, (5, 7)).astype("<u2")
    planes = BufferDecoder("Y16", (5, 7)).decode(counts.tobytes())
    assert (planes.y == counts).all() and planes.bits == 16 and planes.chroma is None
    padded = np.zeros((5, 20), np.uint8)
    padded[:, :14] = counts.view(np.uint8).reshape(5, 14)
    assert (BufferDecoder("Y16 ", (5, 7), 20).decode(padded.tobytes()).y == counts).all()
    assert BufferDecoder("Y16", (5, 7), 20).decode(padded.tobytes()[:-1]) is None


def test_grey_of_one_pixel():
    assert BufferDecoder("GREY", (1, 1)).decode(b"\x07").y.tolist() == [[7]]


def test_yuyv_keeps_chroma_where_it_is():
    packed = RNG.integers(0, 256, (4, 12)).astype(np.uint8)
    planes = BufferDecoder("YUYV", (4, 6)).decode(packed.tobytes())
    assert planes.subsampling == (2, 1)
    assert (planes.y == packed[:, ::2]).all()
    assert (planes.chroma[0] == packed[:, 1::4]).all()
    assert (planes.chroma[1] == packed[:, 3::4]).all()


@pytest.mark.parametrize(("name", "size"), [("NV12", (4, 6)), ("I420", (4, 6)), ("NV12", (5, 6))])
def test_half_size_chroma(name, size):
    height, width = size
    rows, columns = -(-height // 2), -(-width // 2)
    y = RNG.integers(0, 256, size).astype(np.uint8)
    u, v = RNG.integers(0, 256, (2, rows, columns)).astype(np.uint8)
    chroma = np.stack([u, v], -1) if name == "NV12" else np.stack([u, v])
    planes = BufferDecoder(name, size).decode(y.tobytes() + chroma.tobytes())
    assert (planes.y == y).all()
    assert (planes.chroma[0] == u).all() and (planes.chroma[1] == v).all()
    assert BufferDecoder(name, size).decode(y.tobytes()) is None


def test_motion_jpeg_is_decoded_and_a_broken_picture_left_out():
    picture = cv2.GaussianBlur(RNG.integers(0, 256, (32, 48)).astype(np.uint8), (0, 0), 3)
    done, data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 98))
    assert done
    decoder = BufferDecoder("MJPG", (32, 48))
    planes = decoder.decode(data.tobytes())
    assert np.abs(planes.y.astype(int) - picture).max() < 6
    assert decoder.decode(b"no picture") is None
    assert decoder.decode(data.tobytes()) is not None


def test_what_the_driver_still_owns_is_copied():
    buffer = bytearray(range(8))
    planes = BufferDecoder("YUYV", (1, 4)).decode(memoryview(buffer))
    before = planes.y.tolist(), planes.chroma[0].tolist()
    buffer[:] = bytes(8)
    assert (planes.y.tolist(), planes.chroma[0].tolist()) == before


def test_other_formats_are_named():
    with pytest.raises(UserError, match="camera format H264 is not read"):
        BufferDecoder("H264", (4, 4))
