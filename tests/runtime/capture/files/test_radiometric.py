import io
import sys

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.capture.files.image_file import is_image, read_image
from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared
from mgdn_edge.runtime.errors import UserError

NAMES = (".npy", ".pgm", ".png", ".tif", "_png_bytes_named.tiff")


@pytest.mark.data
def test_all_sixteen_bit_formats_load_to_identical_pixels(shared):
    folder = shared / "data/raw16/formats"
    pictures = [read_image(folder / f"fieldscale_0040{name}") for name in NAMES]
    for picture in pictures:
        assert picture.dtype == np.uint16 and picture.shape == (512, 640)
        assert (picture == pictures[0]).all()
    for name in NAMES:
        path = str(folder / f"fieldscale_0040{name}")
        with open_infrared(path, InfraredOptions(agc="plateau")) as source:
            (frame,) = source.frames()
        assert (frame.counts == pictures[0]).all()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["<u2", ">u2", "u1"])
def test_npy_of_either_byte_order_under_any_name(tmp_path, kind):
    values = np.array([[1, 2, 3], [250, 5, 6]])
    (tmp_path / "a.png").write_bytes(npy(values.astype(kind)))
    assert is_image(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.tolist() == values.tolist()
    assert read.dtype.isnative and read.flags.c_contiguous


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(np.zeros((2, 2), np.uint16))[:-1], "damaged"),
        (npy(np.zeros((2, 2), np.float32)), "holds float32"),
        (npy(np.zeros((4,), np.uint16)), "damaged"),
        (npy(np.array([[{}]], object)), "damaged"),  # would be unpickled: never
        (b"\x93NUMPY", "damaged"),
        (b"P5\n# made by hand\n3 2\n65535\n" + bytes(11), "truncated"),
        (b"P5\n3 2\n255\n" + bytes(5), "truncated"),
    ],
)
def test_damaged_arrays_and_maps_are_refused(tmp_path, content, said):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_image(tmp_path / "a.npy")


def test_a_commented_map_of_sixteen_bits(tmp_path):
    pixels = (np.arange(6).reshape(2, 3) * 1000).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5\n# by hand\n3 2\n65535\n" + pixels.tobytes())
    assert read_image(tmp_path / "a.pgm").tolist() == pixels.tolist()


def test_a_folder_of_arrays_is_a_source(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.npy").write_bytes(npy(np.full((4, 6), 7000 + number, np.uint16)))
    with open_infrared(str(tmp_path), InfraredOptions(span=(7000, 7255))) as source:
        assert [int(frame.plane[0, 0]) for frame in source.frames()] == [0, 1]


def test_color_pictures_stay_what_they_were(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((2, 2, 3), 9, np.uint16))
    assert read_image(tmp_path / "a.png").shape == (2, 2, 3)


@pytest.mark.data
@pytest.mark.parametrize("name", ["flir_b60", "flir_t640_a"])
def test_a_radiometric_jpeg_gives_temperatures(shared, name):
    pytest.importorskip("flyr", reason="flyr is not installed: pip install 'mgdn-edge[thermal]'")
    folder = shared / "data/raw16/rjpeg"
    counts = cv2.imread(str(folder / f"{name}_raw16.png"), cv2.IMREAD_UNCHANGED)
    path = str(folder / f"{name}_rjpeg.jpg")
    with open_infrared(path, InfraredOptions(agc="percentile")) as source:
        (frame,) = source.frames()
    assert frame.counts.shape == counts.shape
    # Temperature grows with the sensor's counts: the order of pixels is the same.
    order = np.argsort(counts.ravel(), kind="stable")
    assert (np.diff(frame.counts.ravel()[order].astype(int)) >= -1).all()
    assert 250 < np.median(frame.counts) / 100 < 330  # one shows a winter sky
    assert read_image(folder / f"{name}_rjpeg.jpg").ndim == 3  # as visible: the picture it shows


def test_without_flyr_a_radiometric_jpeg_says_what_to_install(tmp_path, monkeypatch):
    done, data = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))
    assert done
    record = b"FLIR\x00\x01\x00\x00broken"
    segment = b"\xff\xe1" + (len(record) + 2).to_bytes(2, "big") + record
    (tmp_path / "a.jpg").write_bytes(data[:2].tobytes() + segment + data[2:].tobytes())
    assert read_image(tmp_path / "a.jpg").shape == (8, 8)
    with pytest.raises(UserError, match=r"cannot be read|mgdn-edge\[thermal\]"):
        read_image(tmp_path / "a.jpg", thermal=True)
    monkeypatch.setitem(sys.modules, "flyr", None)
    with pytest.raises(UserError, match=r"pip install 'mgdn-edge\[thermal\]'"):
        read_image(tmp_path / "a.jpg", thermal=True)
