"""The road to a session in one order: engine, plugin, deserialisation, parity."""

import pytest
from support.engine_samples import ORIN, PLENTY, STANDIN
from support.progress import Told

from mgdn_edge.plugins.tensorrt_plugin import TensorrtPlugin, TensorrtPluginError
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.fusion.engines import engine_plan, engine_session
from mgdn_edge.runtime.fusion.engines.engine_session import open_engine_session
from mgdn_edge.runtime.fusion.engines.obtain_engine import Engine

DIGEST = "c" * 64


@pytest.fixture
def steps(monkeypatch, standin):
    """What was done on an Orin whose TensorRT is the stand-in."""
    monkeypatch.syspath_prepend(str(STANDIN))
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "builder_standin")
    monkeypatch.setattr(engine_plan, "read_device", lambda: ORIN)
    monkeypatch.setattr(engine_session, "free_memory", lambda integrated: PLENTY)
    return []


def on_the_cpu(bundle, variant, steps):
    """``start`` of a session on the CPU in an engine's place."""

    def start(engine, tensorrt):
        assert tensorrt.__name__ == "builder_standin" and engine.data
        steps.append("deserialise")
        size = (variant.height, variant.width)
        return OnnxRuntimeSession(
            bundle.read(variant.file), spec=bundle.manifest.spec, variant=variant.name, size=size
        )

    return start


def test_a_session_is_compared_when_it_is_handed_out(steps, tiny_bundle, cache):
    with open_bundle(tiny_bundle) as bundle:
        variant, said = bundle.variant("16x12"), []
        start = on_the_cpu(bundle, variant, steps)
        opened = open_engine_session(bundle, variant, start, cache=cache, progress=Told(said=said))
        opened.trust().close()
        assert opened.parity.max_error == 0 and opened.reference == "golden pair"
        assert opened.description.startswith("built, ") and "key 10.3.0" in opened.description
        assert len(said) == 1
        again = open_engine_session(bundle, variant, start, cache=cache, cached_only=True)
        again.trust().close()
    assert again.description.startswith("cached, ")
    assert again.session.execution["engine"].endswith("0 of 1 levels off its golden pair")


@pytest.fixture
def open_edge(steps, monkeypatch, tmp_path, cache):
    """``open_edge(refusal)``: the default network with a plugin and an engine of one byte."""
    plugin = TensorrtPlugin(tmp_path / "mgdn_tensorrt.so", DIGEST, 10)
    monkeypatch.setattr(engine_plan, "check_plugin", lambda: plugin)

    def obtain(plan, cache, **options):
        steps.append("engine")
        return Engine(
            b"x", plan.key, plan.network, plan.variant, "built", 1.0, None, plan.plugin, None
        )

    monkeypatch.setattr(engine_session, "obtain_engine", obtain)

    def go(refusal=""):
        def load(tensorrt, path, sha256):
            assert (tensorrt.__name__, path, sha256) == ("builder_standin", plugin.path, DIGEST)
            steps.append("plugin")
            if refusal:
                raise TensorrtPluginError(refusal)

        monkeypatch.setattr(engine_session, "load_plugin", load)
        with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
            variant = bundle.variant("640x480")
            start = on_the_cpu(bundle, variant, steps)
            open_engine_session(bundle, variant, start, cache=cache).trust().close()

    return go


def test_the_plugin_is_registered_before_the_engine_is_deserialised(open_edge, steps):
    open_edge()
    assert steps == ["engine", "plugin", "deserialise"]


def test_a_plugin_that_is_refused_stops_the_road(open_edge, steps):
    with pytest.raises(DeviceError, match="the engine's plugin cannot be loaded: another digest"):
        open_edge("another digest")
    assert steps == ["engine", "plugin"]
