"""A tiny network as `mgdn export` would leave it, and the bundle made from it."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from mgdn_edge.cli import main
from mgdn_edge.runtime.bundle.export_record import (
    DataSource,
    ExportedModel,
    ExportRecord,
    TrainingProvenance,
    WeightsProvenance,
    encode_export_record,
)
from mgdn_edge.runtime.bundle.fusion_spec import METADATA_KEY, FusionSpec, InputSpec, encode_spec
from mgdn_edge.runtime.bundle.graph_facts import (
    GraphFacts,
    NodeFacts,
    TensorFacts,
    encode_graph_facts,
)

TINY_SPEC = FusionSpec(
    network="tiny",
    variant="plain",
    inputs=(InputSpec("vi", "visible", 1), InputSpec("ir", "infrared", 1)),
    output_channels=1,
)
STATIC_SIZE = (12, 16)


def tiny_model(size=None, spec=TINY_SPEC, weight=0.75, external=None) -> bytes:
    """Frame graph: fused = round(weight * visible + (1 - weight) * infrared)."""
    import onnx
    from onnx import TensorProto, helper

    shape = [1, 1, *(size or ("height", "width"))]
    names = ("visible", "infrared", "fused")
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in names]
    constants = [
        helper.make_tensor("a", TensorProto.FLOAT, [], [weight]),
        helper.make_tensor("b", TensorProto.FLOAT, [], [1 - weight]),
    ]
    nodes = [
        helper.make_node("Cast", ["visible"], ["v"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["infrared"], ["i"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["v", "a"], ["va"]),
        helper.make_node("Mul", ["i", "b"], ["ib"]),
        helper.make_node("Add", ["va", "ib"], ["sum"]),
        helper.make_node("Round", ["sum"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["fused"], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(nodes, "tiny", values[:2], values[2:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if external is not None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=external)
    if spec is not None:
        model.metadata_props.add(key=METADATA_KEY, value=encode_spec(spec))
    return model.SerializeToString()


def write_export(folder: Path, **changes) -> Path:
    """The layout of export_record.py with a dynamic and a 16x12 variant."""
    (folder / "models").mkdir(parents=True)
    models = []
    for name, size in (("dynamic", None), ("16x12", STATIC_SIZE)):
        files = [f"models/{name}.onnx", f"models/{name}.plugin.onnx"]
        for file in files:
            (folder / file).write_bytes(tiny_model(size))
        models.append(ExportedModel(name, *files, *(size or (None, None))))
    tensor = TensorFacts("visible", (1, 1, 12, 16), "uint8")
    node = NodeFacts("cast", "", "Cast", (tensor,), (tensor,), 192, 768, 0)
    facts = GraphFacts("tiny", "plain", 12, 16, (node,), 0, 1536)
    (folder / "graph.json").write_bytes(encode_graph_facts(facts))
    record = ExportRecord(
        network="tiny",
        variant="plain",
        fusion_spec=TINY_SPEC,
        models=tuple(models),
        weights=WeightsProvenance("none.bin", hashlib.sha256(b"").hexdigest(), "CC0", ("by hand",)),
        training=TrainingProvenance((DataSource("nothing", "none stated", 0),)),
        tools={"onnx": "1"},
    )
    record = msgspec.structs.replace(record, **changes)
    (folder / "export.json").write_bytes(encode_export_record(record))
    return folder


@pytest.fixture(scope="session")
def tiny_spec() -> FusionSpec:
    return TINY_SPEC


@pytest.fixture(scope="session")
def build_tiny_model():
    """``tiny_model(size, spec, weight, external)`` as a fixture, for tests in any folder."""
    return tiny_model


@pytest.fixture
def export_folder(tmp_path) -> Path:
    return write_export(tmp_path / "export")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory) -> Path:
    """Read-only: tests that damage a bundle copy its bytes."""
    from mgdn_edge.runtime.packing.creation import create_bundle

    folder = tmp_path_factory.mktemp("tiny")
    create_bundle(write_export(folder / "export"), folder / "tiny.mgdn")
    return folder / "tiny.mgdn"


@dataclass
class Finished:
    code: int
    out: str
    err: str


@pytest.fixture
def run_mgdn(monkeypatch, capfd):
    """``run_mgdn("fuse", ...)`` in this process -> code, out, err."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["mgdn", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return Finished(end.value.code, *capfd.readouterr())

    return run
