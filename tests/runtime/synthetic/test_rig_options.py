"""Every option of a rig's URI: taken, or refused with what would have been right."""

from dataclasses import fields
from fractions import Fraction

import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.synthetic.rig_options import PARSERS, SCENES, RigOptions, parse_rig

GOOD = {
    "seed": ("7", 7),
    "frames": ("12", 12),
    "size": ("333x201", (201, 333)),
    "fps": ("30000/1001", Fraction(30000, 1001)),
    "noise": ("0", 0.0),
    "smoke": ("0.5", 0.5),
    "ir_bits": ("16", 16),
    "ir_size": ("256x192", (192, 256)),
    "ir_fov": ("40", 40.0),
    "parallax": ("-0.1", -0.1),
    "yaw": ("1.5", 1.5),
    "pitch": ("-2", -2.0),
    "roll": ("3", 3.0),
    "offset": ("-40", -40.0),
    "skew": ("80", 80.0),
    "jitter": ("2.5", 2.5),
    "loss": ("0.05", 0.05),
    "visible_loss": ("0.1", 0.1),
    "ffc": ("3", 3.0),
    "gain_jump": ("2", 2.0),
}
BAD = {
    "seed": ("-1", "1.5", "", "99999999999"),
    "frames": ("0", "x", "100001"),
    "size": ("640", "15x480", "640x5000", "0x0", "640x480x3"),
    "fps": ("0", "-25", "nan", "1/0", "300", "fast"),
    "noise": ("-1", "nan", "inf", "11"),
    "smoke": ("2", "thick"),
    "ir_bits": ("12", "8.0"),
    "ir_size": ("256", "8x8"),
    "ir_fov": ("5", "180"),
    "parallax": ("3", "nan"),
    "yaw": ("30",),
    "pitch": ("-30",),
    "roll": ("90",),
    "offset": ("1e9",),
    "skew": ("2000",),
    "jitter": ("-1",),
    "loss": ("1", "-0.1"),
    "visible_loss": ("1",),
    "ffc": ("-1",),
    "gain_jump": ("never",),
}


def test_every_option_has_a_parser_and_a_case_here() -> None:
    names = {field.name for field in fields(RigOptions)} - {"scene"}
    assert set(PARSERS) == names == set(GOOD) == set(BAD)


@pytest.mark.parametrize("name", GOOD)
def test_an_option_is_taken(name: str) -> None:
    text, value = GOOD[name]
    assert getattr(parse_rig(f"synthetic://day?{name}={text}"), name) == value


@pytest.mark.parametrize(("name", "text"), [(name, text) for name in BAD for text in BAD[name]])
def test_a_wrong_value_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(UserError, match=f"{name}=.* is not .*; change {name}"):
        parse_rig(f"synthetic://day?{name}={text}")


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_is_known(scene: str) -> None:
    assert parse_rig(f"synthetic://{scene}").scene == scene


@pytest.mark.parametrize(
    "uri",
    [
        "synthetic://noon",
        "synthetic://",
        "synthetic:///night",
        "synthetic://night/1",
        "rig://night",
    ],
)
def test_an_unknown_scene_is_refused_with_the_known_ones(uri: str) -> None:
    with pytest.raises(UserError, match="night, dusk, day, smoke"):
        parse_rig(uri)


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown option 'sede'; options: seed, frames, size"):
        parse_rig("synthetic://night?sede=1")


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="seed is given twice"):
        parse_rig("synthetic://night?seed=1&seed=2")


def test_only_cameras_in_step_and_register_count_as_registered() -> None:
    assert parse_rig("synthetic://night?loss=0.1&gain_jump=2&offset=5").registered
    for option in ("ir_size=64x64", "ir_fov=40", "parallax=1", "yaw=1", "skew=9", "ffc=1"):
        assert not parse_rig(f"synthetic://night?{option}").registered
