import hashlib

import numpy as np
import pytest

from mgdn_edge.runtime.picture.drawn_scene import draw_scene


def digest(scene):
    return hashlib.sha256(scene.visible.tobytes() + scene.infrared.tobytes()).hexdigest()[:16]


def test_the_scene_is_the_same_bytes_everywhere():
    # Golden images in bundles are made from it: a changed pixel changes every bundle.
    assert digest(draw_scene(101, 131)) == "7e3356fa2824f0f2"


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (63, 1), (101, 131), (480, 640)])
def test_every_size_is_drawn_as_two_uint8_planes(size):
    scene = draw_scene(*size)
    for plane in scene:
        assert plane.shape == size
        assert plane.dtype == np.uint8
        assert plane.flags.c_contiguous


def test_both_images_use_their_range_and_differ():
    scene = draw_scene(480, 640)
    for plane in scene:
        assert plane.min() < 40
        assert plane.max() == 255
    assert np.corrcoef(scene.visible.ravel(), scene.infrared.ravel())[0, 1] < 0.5


def test_phase_moves_the_warm_target_and_one_turn_brings_it_back():
    assert digest(draw_scene(64, 64, 0.25)) != digest(draw_scene(64, 64))
    assert digest(draw_scene(64, 64, 1.0)) == digest(draw_scene(64, 64, 0.0))


def test_seed_changes_only_texture():
    a, b = draw_scene(64, 64, seed=0), draw_scene(64, 64, seed=1)
    assert 0 < np.abs(a.visible.astype(int) - b.visible).max() <= 22
