"""load_plugin: what it checks, in which order, and what each refusal tells the user to do."""

import ctypes
import hashlib
import platform
import shutil
import subprocess
from types import ModuleType, SimpleNamespace

import pytest

from mgdn_edge.plugins import tensorrt_plugin
from mgdn_edge.plugins.tensorrt_plugin import (
    LIBRARY_NAME,
    TensorrtPluginError,
    check_plugin,
    load_plugin,
)

MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine in the ELF specification
HERE = platform.machine()
OTHER = next(name for name in MACHINES if name != HERE)


class FakeRegistry:
    """Takes libraries as TensorRT's registry does, without loading them."""

    def __init__(self, takes=True, creators=()):
        self.takes = takes
        self.all_creators = [
            SimpleNamespace(name=name, plugin_version="1", plugin_namespace=namespace)
            for name, namespace in creators
        ]
        self.loaded = []

    def load_library(self, path):
        self.loaded.append(path)
        if self.takes:
            self.all_creators += FakeRegistry(creators=[("DynamicFilter", "mgdn")]).all_creators


def fake_tensorrt(version="10.14.1.48", **registry):
    module = ModuleType("tensorrt")
    module.__version__ = version
    module.registry = FakeRegistry(**registry)
    module.get_plugin_registry = lambda: module.registry
    return module


def write_library(folder, content, digest=None):
    path = folder / LIBRARY_NAME
    path.write_bytes(content)
    digest = digest or hashlib.sha256(content).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return path


def elf_header(machine=HERE):
    """A 64-bit little-endian header and nothing behind it: right until it is loaded."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (3).to_bytes(2, "little")
    return header + MACHINES[machine].to_bytes(2, "little") + bytes(100)


@pytest.fixture
def never_loaded(monkeypatch):
    """Fails the test where a library is loaded: these refusals come before."""

    def load(path):
        pytest.fail(f"{path} was loaded")

    monkeypatch.setattr(ctypes, "CDLL", load)


@pytest.fixture
def library(tensorrt_harness, tmp_path):
    """A real plugin library with its recorded digest."""
    return write_library(tmp_path, tensorrt_harness.build(LIBRARY_NAME).read_bytes())


def assert_says_how_to_build(raised):
    assert "nvcc" in str(raised.value)
    assert tensorrt_plugin.BUILD_COMMAND in str(raised.value)


def test_a_missing_library_says_how_to_build_it(monkeypatch, never_loaded):
    monkeypatch.setattr(tensorrt_plugin, "find_plugin", lambda: None)
    with pytest.raises(TensorrtPluginError, match=f"no {LIBRARY_NAME} beside") as raised:
        load_plugin(fake_tensorrt())
    assert_says_how_to_build(raised)


def test_a_path_that_is_not_there_is_named(tmp_path, never_loaded):
    with pytest.raises(TensorrtPluginError, match=r"there is no /.*/absent\.so") as raised:
        check_plugin(tmp_path / "absent.so")
    assert_says_how_to_build(raised)


@pytest.mark.parametrize("version", ["8.6.2", "9.3.0"])
def test_a_tensorrt_before_10_is_too_old(version, never_loaded):
    with pytest.raises(TensorrtPluginError, match=rf"{version} is too old.*JetPack 6\.1"):
        load_plugin(fake_tensorrt(version))


@pytest.mark.parametrize("content", [b"", b"\x7fELF\x02\x01", b"#!/bin/sh\n" * 20])
def test_what_is_no_library_is_refused(tmp_path, content, never_loaded):
    with pytest.raises(TensorrtPluginError, match="not a 64-bit shared library") as raised:
        check_plugin(write_library(tmp_path, content))
    assert_says_how_to_build(raised)


def test_a_library_for_another_processor_is_refused(tmp_path, never_loaded):
    path = write_library(tmp_path, elf_header(OTHER))
    with pytest.raises(TensorrtPluginError, match=f"is for {OTHER} but .* {HERE}") as raised:
        check_plugin(path)
    assert_says_how_to_build(raised)


def test_a_changed_library_is_refused(tmp_path, never_loaded):
    path = write_library(tmp_path, elf_header(), digest="0" * 64)
    with pytest.raises(TensorrtPluginError, match=f"but {'0' * 64} is recorded") as raised:
        check_plugin(path)
    assert_says_how_to_build(raised)


def test_a_digest_given_goes_before_the_recorded_one(tmp_path, never_loaded):
    path = write_library(tmp_path, elf_header())
    with pytest.raises(TensorrtPluginError, match=f"but {'1' * 64} is recorded"):
        check_plugin(path, "1" * 64)


@pytest.mark.parametrize("record", [None, b"", b"not a digest", b"\xff\xfe", b"0" * 63])
def test_without_a_recorded_digest_nothing_is_loaded(tmp_path, record, never_loaded):
    path = write_library(tmp_path, elf_header())
    beside = path.with_name(path.name + ".sha256")
    beside.unlink() if record is None else beside.write_bytes(record)
    with pytest.raises(TensorrtPluginError, match="sha256") as raised:
        check_plugin(path)
    assert_says_how_to_build(raised)


def test_a_library_that_does_not_load_is_refused(tmp_path):
    with pytest.raises(TensorrtPluginError, match="does not load here") as raised:
        check_plugin(write_library(tmp_path, elf_header()))
    assert_says_how_to_build(raised)


@pytest.mark.native
def test_another_library_is_refused(tmp_path):
    from mgdn_edge.plugins.native import find_library

    path = write_library(tmp_path, find_library().read_bytes())
    with pytest.raises(TensorrtPluginError, match="mgdn_tensorrt_abi_version"):
        check_plugin(path)


@pytest.mark.tensorrt_headers
def test_another_abi_version_is_refused(library, monkeypatch):
    monkeypatch.setattr(tensorrt_plugin, "ABI_VERSION", tensorrt_plugin.ABI_VERSION + 1)
    with pytest.raises(TensorrtPluginError, match=r"has ABI version 1 but .* needs 2") as raised:
        check_plugin(library)
    assert_says_how_to_build(raised)


@pytest.mark.tensorrt_headers
def test_another_major_of_tensorrt_is_refused(library):
    module = fake_tensorrt("11.4.0.106")
    with pytest.raises(TensorrtPluginError, match=r"TensorRT 10's headers but 11\.4") as raised:
        load_plugin(module, library)
    assert_says_how_to_build(raised)
    assert not module.registry.loaded


@pytest.mark.tensorrt_headers
def test_a_right_library_is_registered_once(library):
    module = fake_tensorrt()
    plugin = load_plugin(module, library)
    assert plugin == load_plugin(module, library) == check_plugin(library)
    assert module.registry.loaded == [str(library)]
    assert plugin.sha256 == hashlib.sha256(library.read_bytes()).hexdigest()
    assert plugin.tensorrt_major == 10


@pytest.mark.tensorrt_headers
def test_a_digest_in_capitals_is_the_same(library):
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    assert check_plugin(library, digest.upper()).sha256 == digest


@pytest.mark.tensorrt_headers
def test_a_library_beside_the_package_is_found(library, monkeypatch):
    monkeypatch.setattr(tensorrt_plugin, "find_plugin", lambda: library)
    assert load_plugin(fake_tensorrt()).path == library


@pytest.mark.tensorrt_headers
def test_a_registry_that_does_not_take_it_is_an_error(library):
    with pytest.raises(TensorrtPluginError, match=r"10\.14\.1\.48 did not take"):
        load_plugin(fake_tensorrt(takes=False), library)


@pytest.mark.tensorrt_headers
def test_a_plugin_registered_by_someone_else_is_not_taken_for_ours(library):
    module = fake_tensorrt(creators=[("Resize", ""), ("DynamicFilter", "mgdn")])
    with pytest.raises(TensorrtPluginError, match="another library has registered"):
        load_plugin(module, library)
    assert not module.registry.loaded


@pytest.mark.tensorrt_headers
def test_other_plugins_are_no_hindrance(library):
    module = fake_tensorrt(creators=[("Resize", ""), ("DynamicFilter", "")])
    assert load_plugin(module, library).path == library


@pytest.mark.tensorrt_headers
def test_the_builds_own_digest_is_what_is_checked(library, repository, tmp_path):
    script = repository / "plugins" / "tensorrt" / "write_digest.cmake"
    path = shutil.copy(library, tmp_path / "moved.so")
    with pytest.raises(TensorrtPluginError, match="no recorded digest"):
        check_plugin(path)
    subprocess.run(["cmake", f"-DLIBRARY={path}", "-P", script], check=True)
    assert check_plugin(path).path == path


def test_the_versions_are_those_of_the_header(repository):
    header = (repository / "plugins" / "tensorrt" / "mgdn_tensorrt.h").read_text()
    assert f"#define MGDN_TENSORRT_ABI_VERSION {tensorrt_plugin.ABI_VERSION}\n" in header
