"""Which code computes DynamicFilter in a session, and that the session says so."""

import numpy as np
import pytest

from mgdn_edge.plugins import native
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends import onnxruntime_cpu
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.measure.bench import bench_networks
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

NETWORK = "mgdn-edge"  # filters at full resolution with kernels of a lower one


def fuse(size, filter=None):
    scene = draw_scene(*size)
    with open_session(NETWORK, SessionChoice(filter=filter)) as session:
        return session.filter_implementation, session.fuse(scene.visible, scene.infrared)


@pytest.mark.native
@pytest.mark.parametrize("size", [(480, 640), (61, 83), (1, 1)])
def test_native_and_function_body_fuse_the_same(size):
    chosen, native_fused = fuse(size)
    body, body_fused = fuse(size, "body")
    assert (chosen, body) == ("native", "function body")
    # Sums in another order may round to the neighbouring level.
    assert np.abs(native_fused.astype(int) - body_fused).max() <= 1


@pytest.fixture
def no_library(monkeypatch):
    monkeypatch.setattr(native, "find_library", lambda: None)
    monkeypatch.setattr(onnxruntime_cpu, "find_library", lambda: None)


def test_without_the_library_the_function_body_runs(no_library):
    assert fuse((16, 16))[0] == "function body"


def test_without_the_library_asking_for_it_says_how_to_build_it(no_library):
    with pytest.raises(UserError, match=r"no native DynamicFilter.*install a C\+\+ compiler"):
        open_session(NETWORK, SessionChoice(filter="native"))


def test_a_library_that_does_not_load_is_not_passed_over_silently(monkeypatch, tmp_path):
    broken = tmp_path / native.LIBRARY_NAME
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(native, "find_library", lambda: broken)
    monkeypatch.setattr(onnxruntime_cpu, "find_library", lambda: broken)
    with pytest.raises(UserError, match="does not load"):
        open_session(NETWORK)
    assert fuse((16, 16), "body")[0] == "function body"


@pytest.mark.export
def test_a_network_without_the_filter_has_no_implementation(tiny_bundle):
    with open_session(tiny_bundle) as session:
        assert session.filter_implementation is None
    with open_session("average") as session:
        assert session.filter_implementation is None


@pytest.mark.native
def test_bench_states_the_filter_of_each_network():
    choice = SessionChoice(filter="body")
    report = bench_networks([NETWORK, NETWORK], choice, size=(32, 48), frames=1, warmup=0).report
    found = [figures.filter_implementation for figures in report.networks]
    assert found == ["function body", "native"]
