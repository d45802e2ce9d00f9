"""NVIDIA's own parser and builder make engines of what we write, through the product's own road.

TensorRT-RTX, ahead of time, without a GPU; no plugins, so filters are function bodies.
"""

from pathlib import Path

import pytest
from support.engine_samples import STANDIN
from support.graph_precisions import with_float16, with_quantized_convolutions

from mgdn_edge.export.export_network import export_network
from mgdn_edge.runtime.errors import DeviceError, printable
from mgdn_edge.runtime.fusion.engines.build_process import Construction, run_build
from mgdn_edge.runtime.fusion.engines.build_progress import BuildProgress
from mgdn_edge.runtime.fusion.engines.build_protocol import BuildEvent, BuildRequest
from mgdn_edge.runtime.fusion.engines.memory_need import MIB

pytestmark = [pytest.mark.export, pytest.mark.rtx]

MODULE = "tensorrt_rtx_bindings"
SMALL = (64, 80)
Sizes = tuple[int, int]


class Watcher:
    """The share done after every event."""

    def __init__(self) -> None:
        self.progress = BuildProgress()
        self.shares: list[float] = []
        self.phases: set[str] = set()

    def __call__(self, event: BuildEvent) -> None:
        self.progress.add(event)
        self.shares.append(self.progress.share)
        self.phases.add(self.progress.phase)


def build(
    model: bytes, size: Sizes = (480, 640), module: str = MODULE, show: Watcher | None = None
) -> Construction:
    request = BuildRequest(module, *size, 1024 * MIB, tf32=False, optimization_level=3)
    return run_build(request, model, b"", show or (lambda event: None), "it may need 1 MiB")


def read_model(folder: Path, name: str) -> bytes:
    return (folder / "models" / f"{name}.onnx").read_bytes()


@pytest.fixture(scope="session")
def ir_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export folder of the packaged reference network, one small static variant."""
    folder = tmp_path_factory.mktemp("exports") / "ir"
    export_network("ir", folder, sizes=[SMALL])
    return folder


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("640x480", (480, 640)),
        ("640x512", (512, 640)),
        ("dynamic", (720, 1280)),
        ("dynamic", (1, 1)),
    ],
)
def test_every_edge_graph_builds(edge_export: Path, name: str, size: Sizes) -> None:
    watcher = Watcher()
    made = build(read_model(edge_export, name), size, show=watcher)
    assert made.layers > 100 and len(made.engine) > 100_000
    assert made.notes == ()
    assert watcher.shares == sorted(watcher.shares) and watcher.shares[-1] == 1
    assert len(set(watcher.shares)) > 10
    assert {"parsing", "Building engine", "Optimizing graph", "saving"} <= watcher.phases


# The two differ in their inputs' channels only.
@pytest.mark.parametrize(
    ("network", "precision"),
    [
        pytest.param("mff", "fp32", marks=pytest.mark.data),
        pytest.param("mff", "fp16", marks=pytest.mark.data),
        pytest.param("ir", "fp32", marks=pytest.mark.slow),
    ],
)
def test_the_published_size_builds(
    network: str, precision: str, request: pytest.FixtureRequest
) -> None:
    model = read_model(request.getfixturevalue(f"{network}_export"), "80x64")
    made = build(model if precision == "fp32" else with_float16(model), SMALL)
    assert made.layers > 5_000 and len(made.engine) > 1_000_000


def test_float16_makes_another_engine(edge_export: Path) -> None:
    model = read_model(edge_export, "640x480")
    half = with_float16(model)
    assert half != model
    made = build(half)
    assert made.layers > 100
    assert len(made.engine) < len(build(model).engine)  # weights of half the bytes


def test_quantized_convolutions_add_their_layers(edge_export: Path, tmp_path: Path) -> None:
    source = edge_export / "models" / "640x480.onnx"
    quantized = with_quantized_convolutions(source, tmp_path / "int8.onnx", (480, 640))
    assert quantized.count(b"QuantizeLinear") > 10
    assert build(quantized).layers > build(source.read_bytes()).layers + 20


def wrong_type(model: bytes) -> bytes:
    """float16 without its casts: a strongly typed network must not mend that."""
    import onnx

    proto = onnx.load_from_string(model)
    weight = next(w for w in proto.graph.initializer if len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weight).astype("float16")
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    return proto.SerializeToString()


REFUSED = {
    "cut": (lambda model: model[:5000], "the parser refused the model"),
    "emptied": (lambda model: b"", "the model is not a frame graph; it has no tensors"),
    "no protobuf": (lambda model: b"\xff" * 4000, "the parser refused the model"),
    "types": (wrong_type, "the parser refused the model at node core.stem/Conv (Conv): "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_graph_is_one_sentence(edge_export: Path, name: str) -> None:
    spoil, words = REFUSED[name]
    with pytest.raises(DeviceError) as error:
        build(spoil(read_model(edge_export, "640x480")))
    assert words in str(error.value) and error.value.exit_code == 3
    assert len(printable(str(error.value))) > 20


def test_a_node_without_its_plugin_is_one_sentence(edge_export: Path) -> None:
    with pytest.raises(DeviceError, match=r"\(DynamicFilter\): .*Plugin not found"):
        build(read_model(edge_export, "640x480.plugin"))


def test_a_size_the_graph_has_not_is_one_sentence(edge_export: Path) -> None:
    with pytest.raises(DeviceError, match=r"takes \(480, 640\) but frames of \(512, 640\)"):
        build(read_model(edge_export, "640x480"), (512, 640))


def test_a_build_without_memory_is_one_sentence(
    edge_export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    with pytest.raises(DeviceError, match=r"ran out of memory while .*it may need 1 MiB; close"):
        build(read_model(edge_export, "640x480"), module="rtx_in_little_memory")
