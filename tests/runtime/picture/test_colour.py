import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.colour import (
    JPEG_TAGS,
    bgr_from_planes,
    full_size_chroma,
    rgb_matrix,
    ycbcr_from_bgr,
)
from mgdn_edge.runtime.picture.frame import ColourTags

GENERATOR = np.random.default_rng(8)


def test_image_colours_survive_the_round_trip():
    bgr = GENERATOR.integers(0, 256, (31, 17, 3), np.uint8)
    back = bgr_from_planes(np.dstack(ycbcr_from_bgr(bgr)), JPEG_TAGS)
    # One rounding of luma and chroma each: 0.5 + 1.772 * 0.5, rounded again.
    assert np.abs(back.astype(int) - bgr).max() <= 2


@pytest.mark.parametrize(
    ("matrix", "kr", "kb"),
    [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (9, 0.2627, 0.0593), (2, 0.299, 0.114)],
)
@pytest.mark.parametrize("full_range", [True, False, None])
def test_matrix_inverts_the_definition(matrix, kr, kb, full_range):
    rgb = GENERATOR.uniform(0, 1, (50, 3))
    luma = rgb @ [kr, 1 - kr - kb, kb]
    cb, cr = (rgb[:, 2] - luma) / (2 * (1 - kb)), (rgb[:, 0] - luma) / (2 * (1 - kr))
    luma_gain, zero, chroma_gain = (255, 0, 255) if full_range else (219, 16, 224)
    codes = np.stack(
        [zero + luma_gain * luma, 128 + chroma_gain * cb, 128 + chroma_gain * cr, np.ones(50)]
    )
    bgr = rgb_matrix(ColourTags(matrix=matrix, full_range=full_range)) @ codes
    np.testing.assert_allclose(bgr.T[:, ::-1], rgb * 255, atol=1e-9)


def test_limited_range_black_and_white():
    planes = np.array([[[16, 128, 128], [235, 128, 128], [255, 128, 128]]], np.uint8)
    np.testing.assert_array_equal(
        bgr_from_planes(planes, ColourTags(full_range=False))[0, :, 0], [0, 255, 255]
    )


def test_an_unknown_matrix_is_refused():
    with pytest.raises(UserError, match="colour matrix 8"):
        rgb_matrix(ColourTags(matrix=8))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (6, 8), (1, 9)])
@pytest.mark.parametrize("subsampling", [(2, 2), (2, 1), (1, 1)])
def test_repeated_chroma_gives_the_original_back(size, subsampling):
    horizontal, vertical = subsampling
    shape = (-(-size[0] // vertical), -(-size[1] // horizontal))
    chroma = tuple(GENERATOR.integers(0, 256, shape, np.uint8) for _ in range(2))
    for original, grown in zip(
        chroma, full_size_chroma(chroma, subsampling, size, smooth=False), strict=True
    ):
        assert grown.shape == size
        np.testing.assert_array_equal(grown[::vertical, ::horizontal], original)
