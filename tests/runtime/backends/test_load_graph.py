"""ONNX Runtime is given only what was read strictly, and reads it as ONNX."""

import numpy as np
import onnxruntime
import pytest

from mgdn_edge.runtime import onnx_file
from mgdn_edge.runtime.backends import onnxruntime_graph
from mgdn_edge.runtime.backends.onnxruntime_cpu import OnnxRuntimeSession, session_options
from mgdn_edge.runtime.backends.onnxruntime_graph import MODEL_FORMAT, load_graph
from mgdn_edge.runtime.errors import UserError

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'mgdn-edge[export]'")
from onnx_forgeries import decode, encode, messages  # noqa: E402
from onnx_samples import in_both_formats, one_operator  # noqa: E402

pytestmark = pytest.mark.export


@pytest.fixture
def unread(monkeypatch):
    """ONNX Runtime is given files as they are."""
    monkeypatch.setattr(onnxruntime_graph, "rewrite_model", lambda model, name: model)


@pytest.fixture
def given(monkeypatch):
    """What ONNX Runtime would be given: (model, its format) of each session."""
    found = []

    def record(model, options, providers):
        found.append((model, options.get_session_config_entry(MODEL_FORMAT[0])))
        return onnxruntime.SessionOptions()  # anything

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    return found


@pytest.fixture
def secret(tmp_path, monkeypatch) -> str:
    """A file of the working folder that holds one float32, 0.25."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(np.float32(0.25).tobytes())
    return "secret.bin"


def hide(model: bytes) -> bytes:
    """The model with where its weights are in tags of 5 bytes, of which protobuf drops bits."""
    fields = decode(model)
    for descriptor, place in messages(fields):
        for field in place if descriptor.name == "TensorProto" else ():
            field.high = field.number in (13, 14)
    assert encode(fields) != model
    return encode(fields)


def test_a_hidden_weight_never_reaches_onnxruntime(build_tiny_model, tiny_spec, secret, given):
    model = hide(build_tiny_model(external=secret))
    with pytest.raises(UserError, match="variant dynamic is not a plain ONNX file"):
        OnnxRuntimeSession(model, spec=tiny_spec, variant="dynamic")
    assert not given


def test_onnxruntime_itself_reads_the_hidden_weight(secret, unread):
    # Where a later version refuses this file too, older ones still need it refused before.
    model = one_operator("Add")
    model.graph.node[0].input.append("w")
    weight = model.graph.initializer.add(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=secret)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = load_graph(hide(model.SerializeToString()), "x", options)
    assert session.run(None, {"x": np.array([3], np.float32)})[0] == 3.25


def test_what_was_written_is_what_onnxruntime_is_given(monkeypatch, given):
    model = one_operator("Abs").SerializeToString()
    load_graph(model, "x", onnxruntime.SessionOptions())
    monkeypatch.setattr(onnxruntime_graph, "rewrite_model", lambda model, name: b"written")
    load_graph(model, "x", onnxruntime.SessionOptions())
    assert given == [(model, "ONNX"), (b"written", "ONNX")]


def test_a_file_in_both_formats_is_refused_for_its_mark_alone(monkeypatch):
    data, x = in_both_formats(), {"x": np.array([3], np.float32)}
    with pytest.raises(UserError, match="mark of ONNX Runtime's own format"):
        load_graph(data, "x", onnxruntime.SessionOptions())
    free = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert free.run(None, x)[0] == -3, "left to itself, ONNX Runtime takes its own format"
    monkeypatch.setattr(onnx_file, "ORT_MARK", b"none")
    assert load_graph(data, "x", session_options(1)).run(None, x)[0] == 3, "told to, it takes ONNX"


def test_onnxruntimes_own_format_is_refused_by_us_and_by_the_options(tmp_path, monkeypatch):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.log_severity_level = 3
    options.add_session_config_entry("session.save_model_format", "ORT")
    load_graph(one_operator("Abs").SerializeToString(), "x", options)
    data = (tmp_path / "model.ort").read_bytes()
    with pytest.raises(UserError, match="ONNX Runtime's own format"):
        load_graph(data, "x", onnxruntime.SessionOptions())
    monkeypatch.setattr(onnxruntime_graph, "rewrite_model", lambda model, name: model)
    with pytest.raises(onnxruntime_graph.runtime_errors(), match=r"(?i)protobuf"):
        load_graph(data, "x", onnxruntime.SessionOptions())
