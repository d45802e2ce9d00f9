import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.capture.files.images import natural_key
from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError

GENERATOR = np.random.default_rng(3)
COLOUR = GENERATOR.integers(0, 256, (21, 33, 3), np.uint8)
GREY = COLOUR[:, :, 0].copy()
SUFFIXES = (".png", ".jpg", ".bmp", ".tif")


def encoded(pixels, suffix):
    return cv2.imencode(suffix, pixels)[1].tobytes()


def visible_of(path):
    with open_visible(str(path)) as source:
        return next(source.frames())


def infrared_of(path, **options):
    with open_infrared(str(path), InfraredOptions(**options)) as source:
        return next(source.frames()).plane


def test_natural_order():
    names = ["10", "9", "frame2", "frame10", "a", "9b"]
    assert sorted(names, key=natural_key) == ["9", "9b", "10", "a", "frame2", "frame10"]


def test_folder_in_natural_order_with_stems(folder_pair):
    vi, _ = folder_pair
    (vi / "notes.txt").write_text("not an image")
    with open_visible(str(vi)) as source:
        assert source.info.frames == 3
        assert source.info.size is None
        assert [frame.stem for frame in source.frames()] == ["1", "2", "10"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_content_decides_not_the_name(tmp_path, suffix):
    path = tmp_path / "x.mp4"
    path.write_bytes(encoded(GREY, suffix))
    frame = visible_of(path)
    assert frame.y.shape == GREY.shape
    assert frame.chroma is None


def test_colour_is_full_range_bt601(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), COLOUR)
    frame = visible_of(tmp_path / "x.png")
    blue, green, red = (COLOUR[:, :, i].astype(float) for i in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(frame.y - luma).max() < 0.51
    assert np.abs(frame.chroma[0] - np.clip(128 + (blue - luma) / 1.772, 0, 255)).max() < 1
    assert np.abs(frame.chroma[1] - np.clip(128 + (red - luma) / 1.402, 0, 255)).max() < 1
    assert frame.subsampling == (1, 1)
    assert frame.tags.full_range is True


def test_alpha_is_dropped(tmp_path):
    alpha = GENERATOR.integers(0, 256, (21, 33, 1), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.concatenate([COLOUR, alpha], axis=2))
    cv2.imwrite(str(tmp_path / "b.png"), COLOUR)
    with_alpha, without = visible_of(tmp_path / "a.png"), visible_of(tmp_path / "b.png")
    np.testing.assert_array_equal(with_alpha.y, without.y)
    np.testing.assert_array_equal(with_alpha.chroma[1], without.chroma[1])


def test_sixteen_bit_visible_spans_the_whole_range(tmp_path):
    grey = np.array([[0, 128, 129, 257, 65535, 65407, 65406]], np.uint16)
    cv2.imwrite(str(tmp_path / "x.png"), grey)
    np.testing.assert_array_equal(visible_of(tmp_path / "x.png").y, [[0, 0, 1, 1, 255, 255, 254]])
    cv2.imwrite(str(tmp_path / "c.png"), COLOUR.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "d.png"), COLOUR)
    np.testing.assert_array_equal(
        visible_of(tmp_path / "c.png").y, visible_of(tmp_path / "d.png").y
    )


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_images_are_refused(tmp_path, suffix, share, capfd):
    whole = encoded(cv2.resize(COLOUR, (330, 210)), suffix)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"truncated|damaged|not a readable"):
        visible_of(path)
    assert capfd.readouterr().err == ""
    path.write_bytes(whole)
    assert visible_of(path).y.shape == (210, 330)


def test_a_thumbnails_end_is_not_the_pictures(tmp_path):
    picture, thumbnail = encoded(COLOUR, ".jpg"), encoded(COLOUR[:8, :8], ".jpg")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = picture[:2] + segment + picture[2:]
    (tmp_path / "x.jpg").write_bytes(whole)
    assert visible_of(tmp_path / "x.jpg").y.shape == (21, 33)
    (tmp_path / "x.jpg").write_bytes(whole[:-40])
    with pytest.raises(UserError, match="truncated"):
        visible_of(tmp_path / "x.jpg")


def test_floating_point_images_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "x.tiff"), GREY.astype(np.float32))
    with pytest.raises(UserError, match="float32"):
        visible_of(tmp_path / "x.tiff")


@pytest.mark.parametrize("pixels", [GREY, np.dstack([GREY] * 3)])
def test_grey_infrared_in_one_or_three_channels(tmp_path, pixels):
    cv2.imwrite(str(tmp_path / "x.png"), pixels)
    np.testing.assert_array_equal(infrared_of(tmp_path / "x.png"), GREY)


def test_false_colour_infrared_is_refused_by_name(tmp_path):
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), cv2.applyColorMap(GREY, cv2.COLORMAP_INFERNO))
    with pytest.raises(UserError, match=r"coloured.*--infrared-luma"):
        infrared_of(path)
    np.testing.assert_array_equal(infrared_of(path, luma=True), visible_of(path).y)


@pytest.mark.parametrize("channels", [1, 3])
def test_counts_need_a_span_and_the_error_suggests_one(tmp_path, channels):
    counts = np.linspace(7000, 9000, 2000).astype(np.uint16).reshape(40, 50)
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), np.dstack([counts] * channels))
    with pytest.raises(UserError, match=r"16-bit counts.*--infrared-span 7009:8989"):
        infrared_of(path)
    plane = infrared_of(path, span=(7500, 8500))
    expected = np.clip(np.rint((counts.astype(float) - 7500) * 255 / 1000), 0, 255)
    np.testing.assert_array_equal(plane, expected)


def test_a_span_applies_to_eight_bits_too(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.array([[0, 10, 15, 20, 255]], np.uint8))
    np.testing.assert_array_equal(
        infrared_of(tmp_path / "x.png", span=(10, 20)), [[0, 0, 128, 255, 255]]
    )


@pytest.mark.parametrize("span", [(5, 5), (9, 2), (float("nan"), 4)])
def test_empty_spans_are_refused(span):
    with pytest.raises(UserError, match="LOW must be below HIGH"):
        InfraredOptions(span=span)


def test_empty_folder(tmp_path):
    with pytest.raises(UserError, match="holds no images"):
        open_visible(str(tmp_path))


def test_two_files_of_one_stem_are_ambiguous(tmp_path):
    for name in ("7.png", "7.jpg"):
        cv2.imwrite(str(tmp_path / name), GREY)
    with pytest.raises(UserError, match=r"7\.(jpg|png) and 7\.(jpg|png)"):
        open_visible(str(tmp_path))


@pytest.mark.data
def test_png_data_under_a_tiff_name_with_counts(shared):
    paths = sorted((shared / "data" / "raw16" / "formats").glob("*.tif*"))
    assert paths
    for path in paths:
        with open_infrared(str(path)) as source, pytest.raises(UserError, match="infrared-span"):
            next(source.frames())
