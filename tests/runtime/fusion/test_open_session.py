import shutil
import zlib

import numpy as np
import pytest

from mgdn_edge.runtime.bundle import network_names
from mgdn_edge.runtime.bundle.network_names import list_networks
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends import baselines
from mgdn_edge.runtime.fusion.contract import golden_check
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.contract.variant_choice import choose_variant
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.packing import bundle_writer
from mgdn_edge.runtime.packing.creation import create_bundle
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.picture.png_chunks import PNG_SIGNATURE


@pytest.fixture
def packaged_tiny(tiny_bundle, tmp_path, monkeypatch):
    shutil.copyfile(tiny_bundle, tmp_path / "tiny-net.mgdn")
    monkeypatch.setattr(network_names, "PACKAGED_FOLDER", tmp_path)


def test_baselines_are_those_of_the_backend():
    assert set(network_names.BASELINES) == set(baselines.BASELINES)


@pytest.mark.parametrize("name", network_names.BASELINES)
def test_baselines_open_by_name(name):
    scene = draw_scene(33, 47)
    with open_session(name, size=(33, 47)) as session:
        assert session.network == name
        assert session.fuse(*scene).shape == (33, 47)


def test_a_baseline_has_only_its_own_backend_variant_and_precision():
    for option in ({"backend": "tensorrt"}, {"variant": "640x480"}, {"precision": "fp16"}):
        with pytest.raises(UserError, match="it has only"):
            open_session("average", SessionChoice(**option))
    with open_session("average", SessionChoice(backend="opencv")) as session:
        assert session.backend == "opencv"


@pytest.mark.parametrize(
    ("name", "hint"), [("averag", "did you mean average"), ("gided", "guided"), ("zzz", "known:")]
)
def test_an_unknown_name_suggests_and_lists(name, hint):
    with pytest.raises(UserError, match=hint) as caught:
        open_session(name)
    assert all(known in str(caught.value) for known in list_networks())


def test_a_path_that_does_not_exist_is_one_clear_error(tmp_path):
    with pytest.raises(UserError, match="cannot open bundle"):
        open_session(tmp_path / "absent.mgdn")


@pytest.mark.export
def test_a_packaged_bundle_opens_by_name(packaged_tiny):
    assert list_networks()[0] == "tiny-net"
    with open_session("tiny-net") as session:
        # The bundle's own name, whatever its file is called.
        assert (session.network, session.backend) == ("tiny", "onnxruntime-cpu")


def open_chosen(bundle, size=None, **choice):
    return open_session(bundle, SessionChoice(**choice), size=size)


@pytest.mark.export
@pytest.mark.parametrize(
    ("options", "variant"),
    [
        ({}, "dynamic"),
        ({"size": (12, 16)}, "16x12"),
        ({"size": (16, 12)}, "dynamic"),
        ({"variant": "16x12"}, "16x12"),
        ({"variant": "dynamic", "size": (12, 16)}, "dynamic"),
        ({"precision": "fp32", "backend": "onnxruntime-cpu"}, "dynamic"),
    ],
)
def test_the_variant_follows_size_unless_asked_for(tiny_bundle, options, variant):
    with open_chosen(tiny_bundle, **options) as session:
        assert session.variant == variant
        assert session.precision == "fp32"


@pytest.mark.export
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"variant": "640x480"}, "nothing for variant 640x480; it has: dynamic"),
        ({"precision": "int8"}, "nothing for precision int8; it has: dynamic"),
        ({"backend": "tensorrt"}, "an engine of tiny takes one; .* --backend onnxruntime-cpu"),
        ({"variant": "16x12", "size": (480, 640)}, "nothing for variant 16x12, size 640x480; "),
    ],
)
def test_what_is_not_there_is_refused_not_replaced(tiny_bundle, options, told):
    with pytest.raises(UserError, match=told):
        open_chosen(tiny_bundle, **options)


@pytest.mark.export
def test_without_a_dynamic_variant_other_sizes_are_refused(tiny_bundle):
    import msgspec

    with open_bundle(tiny_bundle) as bundle:
        only = msgspec.structs.replace(bundle.manifest, variants=bundle.manifest.variants[1:])
    assert choose_variant(only, size=(12, 16)).name == "16x12"
    with pytest.raises(UserError, match="size 640x480; it has: 16x12"):
        choose_variant(only, size=(480, 640))
    with pytest.raises(UserError, match="frames of any size"):
        choose_variant(only)


@pytest.mark.export
@pytest.mark.parametrize("off", [1, 2, 60])
def test_a_golden_pair_that_differs_names_difference_and_tolerance(
    export_folder, tmp_path, monkeypatch, off
):
    def encode_shifted(plane):
        return golden_check.encode_plane(plane)

    fuse = bundle_writer.OnnxRuntimeSession.fuse
    with monkeypatch.context() as patch:
        patch.setattr(
            bundle_writer.OnnxRuntimeSession,
            "fuse",
            lambda self, *planes: np.clip(fuse(self, *planes).astype(int) + off, 0, 255).astype(
                np.uint8
            ),
        )
        create_bundle(export_folder, tmp_path / "off.mgdn")
    if off == 1:
        open_session(tmp_path / "off.mgdn").close()
        return
    with pytest.raises(UserError, match=f"differs by up to {off} levels; 1 are allowed"):
        open_session(tmp_path / "off.mgdn")


def crafted_png(width, height, depth=8, colour=0):
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, 0])
    chunk = b"IHDR" + header
    checksum = zlib.crc32(chunk).to_bytes(4, "big")
    return PNG_SIGNATURE + b"\0\0\0\r" + chunk + checksum


@pytest.mark.export
@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"GIF89a" + bytes(40),
        crafted_png(16, 12),
        crafted_png(1 << 30, 1 << 30),
        crafted_png(16, 12, depth=16),
        crafted_png(16, 12, colour=2),
    ],
)
def test_golden_images_that_are_no_grey_png_are_refused(
    export_folder, tmp_path, monkeypatch, image
):
    with monkeypatch.context() as patch:
        patch.setattr(bundle_writer, "encode_plane", lambda plane: image)
        create_bundle(export_folder, tmp_path / "x.mgdn")
    with pytest.raises(UserError, match="not a sound grey 8-bit PNG"):
        open_session(tmp_path / "x.mgdn")
