"""From a bundle to the file to build from: nothing is replaced silently."""

import hashlib
import sys

import msgspec
import pytest
from support.engine_samples import ORIN, STANDIN_BUILDER

from mgdn_edge.plugins.tensorrt_plugin import TensorrtPlugin, TensorrtPluginError
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.engines import engine_plan
from mgdn_edge.runtime.fusion.engines.bundle_engines import EngineRequest, plan_bundle
from mgdn_edge.runtime.fusion.engines.engine_key import BuildOptions
from mgdn_edge.runtime.fusion.engines.engine_plan import (
    Builder,
    find_builder,
    plan_engine,
    target_device,
)
from mgdn_edge.runtime.machine.device import NO_DEVICE, Device

PLUGIN_DIGEST = "c" * 64


@pytest.fixture
def edge():
    with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
        yield bundle


@pytest.fixture
def plugin(monkeypatch, tmp_path):
    """A library that passes its checks."""
    found = TensorrtPlugin(tmp_path / "mgdn_tensorrt.so", PLUGIN_DIGEST, 10)
    monkeypatch.setattr(engine_plan, "check_plugin", lambda: found)
    return found


def plan(bundle, variant="640x480", **changes):
    given = {"builder": STANDIN_BUILDER, "device": ORIN} | changes
    return plan_engine(bundle, bundle.variant(variant), **given)


def test_a_network_that_filters_takes_the_plugin_and_the_file_without_bodies(edge, plugin):
    made = plan(edge)
    assert made.model == edge.read(edge.variant("640x480").file_without_body)
    assert made.plugin == plugin.path
    assert (made.key.filter, made.key.plugin_abi) == ("plugin", 1)
    assert made.key.plugin_sha256 == PLUGIN_DIGEST
    assert made.key.model_sha256 == hashlib.sha256(made.model).hexdigest()


@pytest.mark.parametrize("choice", ["native", "body"])
def test_the_parser_is_given_only_what_was_read_strictly(edge, plugin, monkeypatch, choice):
    read = edge.read
    monkeypatch.setattr(edge, "read", lambda ref: read(ref) + b"\x80\x80\x80\x80\x10")
    with pytest.raises(UserError, match="variant 640x480 is not a plain ONNX file"):
        plan(edge, filter=choice)
    monkeypatch.setattr(edge, "read", read)
    monkeypatch.setattr(engine_plan, "rewrite_model", lambda model, name: b"written")
    assert plan(edge, filter=choice).model == b"written"


def test_without_the_plugin_there_is_no_plan_but_the_way_to_one(edge, monkeypatch):
    def missing():
        raise TensorrtPluginError("there is no mgdn_tensorrt.so; build it")

    monkeypatch.setattr(engine_plan, "check_plugin", missing)
    with pytest.raises(
        DeviceError, match=r"needs the TensorRT plugin.*build it.*--filter body"
    ) as e:
        plan(edge)
    assert e.value.exit_code == 3


def test_the_body_is_taken_only_where_asked_for(edge, plugin):
    made = plan(edge, filter="body")
    assert made.model == edge.read(edge.variant("640x480").file)
    assert (made.plugin, made.key.filter) == (None, "body")
    assert (made.key.plugin_abi, made.key.plugin_sha256) == (0, "")


def test_a_network_that_filters_nothing_needs_no_plugin(make_plan):
    made = make_plan()
    assert (made.plugin, made.key.filter, made.size) == (None, "none", (12, 16))


def test_device_builder_and_options_are_in_the_key(make_plan):
    options = BuildOptions(workspace_mib=5, tf32=True, optimization_level=1)
    key = msgspec.structs.asdict(make_plan(options=options).key)
    for part in (ORIN, options):
        for field, value in msgspec.structs.asdict(part).items():
            assert field == "integrated" or key[field] == value
    assert (key["builder"], key["builder_version"]) == ("tensorrt", "10.3.0")
    assert key["precision"] == "fp32"


def test_the_dynamic_variant_needs_a_size_and_a_fixed_one_has_its_own(make_plan):
    assert make_plan("dynamic", size=(5, 7)).size == (5, 7)
    with pytest.raises(UserError, match="--size WIDTHxHEIGHT"):
        make_plan("dynamic")
    with pytest.raises(UserError, match="leave --size out"):
        make_plan("16x12", size=(5, 7))


def test_a_builder_that_is_not_here_is_one_sentence():
    with pytest.raises(UserError, match="'trt' is unknown; known: tensorrt, tensorrt-rtx"):
        find_builder("trt")


@pytest.mark.parametrize(
    ("version", "passes"), [("8.6.1", False), ("10.2.0", False), ("10.3.0", True), ("11.4", True)]
)
def test_an_old_tensorrt_is_refused(monkeypatch, tmp_path, version, passes):
    (tmp_path / "old_tensorrt.py").write_text(f"__version__ = {version!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "old_tensorrt")
    monkeypatch.delitem(sys.modules, "old_tensorrt", raising=False)
    if passes:
        assert find_builder() == Builder("tensorrt", "old_tensorrt", version)
    else:
        with pytest.raises(
            DeviceError, match=r"\d is too old: 10\.3 or newer.*JetPack 6\.1"
        ) as error:
            find_builder()
        assert error.value.exit_code == 3


def test_a_tensorrt_that_does_not_import_is_one_sentence(monkeypatch):
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "no_such_tensorrt")
    with pytest.raises(DeviceError, match=r"does not import here .*--system-site-packages"):
        find_builder()


def test_ahead_of_time_sees_no_device(monkeypatch):
    monkeypatch.setattr(engine_plan, "read_device", lambda: ORIN)
    assert target_device(STANDIN_BUILDER) == ORIN
    assert target_device(Builder("tensorrt-rtx", "tensorrt_rtx_bindings", "1")) == NO_DEVICE
    assert Device("", "", 0, False, "", "", "", "") == NO_DEVICE


@pytest.fixture
def here(monkeypatch, standin, plugin):
    """The stand-in is this machine's TensorRT, an Orin its GPU."""
    monkeypatch.syspath_prepend(standin.folder)
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "builder_standin")
    monkeypatch.setattr(engine_plan, "read_device", lambda: ORIN)


def variants(**asked):
    return [plan.variant for plan in plan_bundle(EngineRequest("mgdn-edge", **asked))[0]]


def test_every_variant_with_a_size_unless_one_is_chosen(here):
    assert variants() == ["640x480", "640x512"]
    assert variants(variant="640x512") == ["640x512"]
    assert variants(size=(480, 640)) == ["640x480"]
    assert variants(size=(720, 1280)) == ["dynamic"]
    assert variants(variant="dynamic", size=(5, 7)) == ["dynamic"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"precision": "int8"}, "no variant for tensorrt with a size of its own in int8"),
        ({"variant": "1x1"}, "nothing for variant 1x1"),
        ({"variant": "dynamic"}, "pass --size WIDTHxHEIGHT"),
        ({"variant": "640x480", "size": (5, 7)}, "variant 640x480 has its own size"),
    ],
)
def test_what_is_not_in_the_bundle_is_said(here, asked, sentence):
    with pytest.raises(UserError, match=sentence):
        variants(**asked)


@pytest.mark.parametrize(
    ("bundle", "sentence"),
    [
        ("nowhere.mgdn", "cannot open bundle nowhere.mgdn"),
        ("mgdn-egde", "did you mean mgdn-edge"),
        ("average", "is a classical baseline"),
    ],
)
def test_a_bundle_is_a_file_or_a_packaged_name(here, bundle, sentence):
    with pytest.raises(UserError, match=sentence):
        plan_bundle(EngineRequest(bundle))
