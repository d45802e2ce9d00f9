"""Fine-tuning computes what the 8-bit file computes, on calibration's tensors, and repeats."""

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from mgdn_edge.calibration.candidate_measurements import open_graph
from mgdn_edge.calibration.clip_points import ClipMethod
from mgdn_edge.calibration.lowered_models import (
    dynamic_variant,
    lower_model,
    quantised_tensors,
    read_model,
)
from mgdn_edge.calibration.node_precisions import decide_nodes
from mgdn_edge.calibration.qdq import clip_tensors
from mgdn_edge.calibration.range_observer import RangeObserver
from mgdn_edge.calibration.relu_clip_points import cut_discarded
from mgdn_edge.cli import build_app
from mgdn_edge.export.checkpoint import file_digest
from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS, load_edge
from mgdn_edge.export.networks.edge import MGDNEdge
from mgdn_edge.export.rounded_layers import (
    LAYERS,
    TENSORS,
    FineTuning,
    begin_fine_tuning,
    round_layers,
    round_weight,
)
from mgdn_edge.export.train import TrainingStoppedError, train
from mgdn_edge.export.training_data import DataOptions
from mgdn_edge.export.training_options import RunOptions
from mgdn_edge.export.training_provenance import describe_record
from mgdn_edge.export.training_recipes import FINE_TUNING, Recipe, find_recipe
from mgdn_edge.export.training_record import TrainingRecord, read_training_record
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.ranges import Ranges, encode_ranges, ranges_digest
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import FramePair
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

pytestmark = pytest.mark.export

NAME = "mgdn-edge"
SCENE = draw_scene(96, 128)
SMALL = Recipe(steps=4, batch=2, crop=16, learning_rate=1e-3, validate_every=3)


@pytest.fixture(scope="module")
def model() -> bytes:
    """The packaged network's graph of dynamic size."""
    with open_bundle(packaged_bundles()[NAME]) as bundle:
        return bundle.read(dynamic_variant(bundle).file)


@pytest.fixture(scope="module")
def ranges(model: bytes) -> Ranges:
    """Calibration's ranges on one drawn scene."""
    observer = RangeObserver(model)
    observer.add(FramePair("scene", *SCENE))
    tensors = {name: found.finish() for name, found in observer.histograms.items()}
    return Ranges(NAME, tensors, (), "one scene")


@pytest.fixture
def ranges_file(ranges: Ranges, tmp_path: Path) -> Path:
    path = tmp_path / "ranges.json"
    path.write_bytes(encode_ranges(ranges))
    return path


def fuse(network: nn.Module) -> np.ndarray:
    """The scene through a core graph -> (H, W) uint8."""
    visible, infrared = (torch.from_numpy(plane / np.float32(255))[None, None] for plane in SCENE)
    with torch.no_grad():
        fused = network(visible, infrared)[0, 0]
    return torch.round(fused.clamp(0, 1) * 255).to(torch.uint8).numpy()


def lower(model: bytes, ranges: Ranges) -> bytes:
    """The graph as `mgdn quantize --method minmax --target cpu` makes it."""
    graph = read_model(model)
    clips = cut_discarded(graph, clip_tensors(ranges, ClipMethod("minmax"), "cpu"))
    return lower_model(model, decide_nodes(graph), clips, "cpu")


def test_the_join_names_what_quantize_rounds(model: bytes, ranges: Ranges) -> None:
    int8 = [each for each in decide_nodes(read_model(model)) if each.precision == "int8"]
    layers = [each.module for each in int8 if each.operator == "Conv"]
    assert layers == [f"core.{path}" for path in LAYERS[NAME]]
    tensors = [each.tensor for each in TENSORS[NAME]]
    assert sorted(tensors) == sorted(quantised_tensors(lower(model, ranges)))


def test_each_joined_result_has_the_extremes_that_calibration_saw(ranges: Ranges) -> None:
    network = load_edge(EDGE_WEIGHTS).core
    seen: dict[str, list[tuple[float, float]]] = {}
    for path in {each.module for each in TENSORS[NAME]}:
        of_module = seen.setdefault(path, [])
        network.get_submodule(path).register_forward_hook(
            lambda module, inputs, result, of_module=of_module: of_module.append(
                (float(result.min()), float(result.max()))
            )
        )
    fuse(network)
    for each in TENSORS[NAME]:
        found = ranges.tensors[each.tensor]
        assert seen[each.module][each.call] == pytest.approx((found.low, found.high), abs=1e-4)
    assert sum(map(len, seen.values())) == len(TENSORS[NAME])


def test_it_fuses_what_the_8_bit_file_fuses(
    model: bytes, ranges: Ranges, ranges_file: Path
) -> None:
    network = MGDNEdge()
    begin_fine_tuning(network, NAME, FineTuning(ranges_file))
    with open_bundle(packaged_bundles()[NAME]) as bundle:
        spec = bundle.manifest.spec
    with open_graph(lower(model, ranges), spec) as session:
        wanted = session.fuse(*SCENE).astype(int)
    apart = np.abs(fuse(network) - wanted)
    in_float = np.abs(fuse(load_edge(EDGE_WEIGHTS).core) - wanted)
    assert apart.max() <= 1
    assert apart.mean() < in_float.mean() / 5


def test_gradients_pass_the_rounding_and_stop_at_the_clip_points(ranges: Ranges) -> None:
    weight = torch.randn(4, 2, 3, 3, requires_grad=True)
    rounded = round_weight(weight)
    rounded.sum().backward()  # type: ignore[no-untyped-call]
    assert not torch.equal(rounded, weight)
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert torch.equal(round_weight(torch.zeros(1, 1, 3, 3)), torch.zeros(1, 1, 3, 3))

    network = MGDNEdge()
    round_layers(network, NAME, ranges)
    high = ranges.tensors["core.activation/Relu"].high
    feature = torch.tensor([high / 2, high * 2], requires_grad=True)
    network.activation(feature).sum().backward()
    assert feature.grad.tolist() == [1, 0]


def run(data_root: Path, output: Path, tuning: FineTuning, **changed: object) -> TrainingRecord:
    stop = threading.Event() if changed.pop("stop", False) else None
    if stop is not None:
        stop.set()
    return train(
        DataOptions((str(data_root),)),
        output,
        SMALL,
        RunOptions(**changed),
        tuning=tuning,
        stop=stop,
    )


def test_a_run_begins_with_trained_weights_repeats_and_resumes(
    data_root: Path, tmp_path: Path, ranges: Ranges, ranges_file: Path
) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    tuning = FineTuning(ranges_file)
    record = run(data_root, whole, tuning)
    assert record.tuning == {"qat": ranges_digest(ranges), "start": file_digest(EDGE_WEIGHTS)}
    assert describe_record(read_training_record(whole)).command.endswith(
        "--seed 0 --qat ranges.json"
    )
    with pytest.raises(TrainingStoppedError):
        run(data_root, parts, tuning, stop=True)
    other = tmp_path / "other.json"
    other.write_bytes(encode_ranges(msgspec.structs.replace(ranges, selection="others")))
    with pytest.raises(UserError, match="begun with qat "):
        run(data_root, parts, FineTuning(other), resume=True)
    run(data_root, parts, tuning, resume=True)
    weights, again = (safetensors.torch.load_file(path) for path in (whole, parts))
    first = load_edge(EDGE_WEIGHTS).core.state_dict()
    assert weights.keys() == first.keys()  # float weights under their own names
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    moved = (weights["blocks.1.weight"] - first["blocks.1.weight"]).abs().max()
    assert 0 < moved < 0.01


def test_what_cannot_be_fine_tuned_is_refused(
    data_root: Path, tmp_path: Path, ranges: Ranges
) -> None:
    def refused(message: str, changed: Ranges | bytes | None, network: str = NAME) -> None:
        path = tmp_path / "wrong.json"
        path.unlink(missing_ok=True)
        if changed is not None:
            path.write_bytes(changed if isinstance(changed, bytes) else encode_ranges(changed))
        with pytest.raises(UserError, match=message):
            begin_fine_tuning(MGDNEdge(), network, FineTuning(path))

    refused("unzip OUT.mgdn ranges.json", None)
    refused("these are not ranges", b"{")
    refused("--qat cannot fine-tune mgdn-ir, only mgdn-edge", ranges, "mgdn-ir")
    refused("holds mgdn-ir's", msgspec.structs.replace(ranges, network="mgdn-ir"))
    fewer = {name: each for name, each in ranges.tensors.items() if "blocks.1" not in name}
    refused("no tensor core.blocks.1/Conv", msgspec.structs.replace(ranges, tensors=fewer))


def test_the_recipe_of_a_fine_tuning_is_short_and_slow() -> None:
    tuned = find_recipe(NAME, tuning=True)
    assert msgspec.structs.asdict(tuned).items() >= FINE_TUNING.items()
    assert find_recipe(NAME, steps=7, tuning=True).steps == 7


def test_start_needs_qat(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    arguments = ["train", str(tmp_path), str(tmp_path / "out.safetensors"), "--start", "x"]
    result = CliRunner().invoke(build_app(), arguments)
    assert isinstance(result.exception, UserError)
    assert "add --qat RANGES.json" in str(result.exception)
