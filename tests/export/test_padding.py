"""Index padding against numpy.pad, for images smaller than the padding too."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mgdn_edge.export.padding import pad_to
from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec, InputSpec, padded_size

pytestmark = pytest.mark.export


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge"])
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    below=st.integers(0, 17),
    right=st.integers(0, 17),
)
def test_padding_continues_an_image_as_numpy_does(
    mode: str, height: int, width: int, below: int, right: int
) -> None:
    image = np.random.default_rng(0).random((1, 2, height, width), np.float32)
    wanted = np.pad(image, ((0, 0), (0, 0), (0, below), (0, right)), mode)
    padded = pad_to(torch.from_numpy(image), height + below, width + right, mode)
    np.testing.assert_array_equal(padded.numpy(), wanted)


@pytest.mark.parametrize(
    ("rule", "size", "wanted"),
    [
        ("release", (96, 128), (104, 136)),
        ("release", (101, 77), (104, 80)),
        ("minimal", (96, 128), (96, 128)),
        ("minimal", (101, 77), (104, 80)),
        ("minimal", (1, 1), (8, 8)),
    ],
)
def test_padding_rules(rule: str, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    inputs = (InputSpec("a", "visible", 1), InputSpec("b", "infrared", 1))
    spec = FusionSpec("mgdn", "mff", inputs, 1, multiple=8, pad_rule=rule)
    assert padded_size(spec, *size) == wanted
