"""A build registers the plugin in NVIDIA's own registry before its parser sees the model."""

import hashlib
import os
from pathlib import Path

import pytest
from support.engine_samples import STANDIN

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.build_process import run_build
from mgdn_edge.runtime.fusion.engines.build_protocol import BuildRequest, StageBegun

pytestmark = pytest.mark.lean


@pytest.fixture
def build(tensorrt_root, monkeypatch):
    """``build(library, digest, seen, major)`` in a process with the lean runtime of that major."""

    def run(library, digest, seen, major=10):
        folders = (str(Path(__file__).parent), str(STANDIN))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
        monkeypatch.setenv("MGDN_LEAN", str(tensorrt_root / f"lean-{major}"))
        request = BuildRequest("lean_builder", 12, 16, 1, False, 3, str(library), digest)
        return run_build(request, b"model", b"", seen.append, "")

    return run


@pytest.fixture(scope="session")
def library(tensorrt_harness):
    return tensorrt_harness.build("mgdn_tensorrt.so")


def test_the_parser_finds_it(build, library):
    seen = []
    build(library, hashlib.sha256(library.read_bytes()).hexdigest(), seen)
    stages = [event.name for event in seen if isinstance(event, StageBegun)]
    assert stages.index("loading the plugin") < stages.index("parsing")


def test_without_it_the_parser_refuses(build):
    with pytest.raises(DeviceError, match=r"the parser refused the model at node core\.filter"):
        build("", "", [])


def test_another_digest_is_refused_before_it_is_loaded(build, library):
    with pytest.raises(DeviceError, match=r"no engine: .* has sha256 .* is recorded"):
        build(library, "0" * 64, [])


def test_another_major_version_is_refused(build, library):
    with pytest.raises(DeviceError, match="was built with TensorRT 10's headers but 11"):
        build(library, hashlib.sha256(library.read_bytes()).hexdigest(), [], 11)
