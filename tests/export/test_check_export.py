"""mgdn check: passes on what export wrote, and points at the node where a graph is wrong."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from mgdn_edge.export.check_export import check_export
from mgdn_edge.export.check_frames import draw_frames, read_frames
from mgdn_edge.runtime.bundle.export_record import read_export_record
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.baselines import BaselineSession
from mgdn_edge.runtime.pairing.recordings import FramePair, list_recordings
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

pytestmark = pytest.mark.export


def small_frames() -> Iterator[FramePair]:
    scene = draw_scene(37, 45)
    yield FramePair("small", scene.visible, scene.infrared)


def copy_export(source: Path, target: Path) -> Path:
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    return target


def test_an_export_passes_on_every_graph(edge_export: Path) -> None:
    report = check_export(edge_export, draw_frames(read_export_record(edge_export)))
    assert report.passed and report.first_diverging is None and report.nodes == ()
    assert {row.graph for row in report.rows} == {
        "core.onnx",
        "models/dynamic.onnx",
        "models/640x480.onnx",
        "models/640x512.onnx",
    }


def test_nodes_are_listed_in_graph_order_on_request(edge_export: Path) -> None:
    report = check_export(edge_export, small_frames(), nodes=True)
    modules = [node.module for node in report.nodes]
    assert report.passed and report.first_diverging is None
    assert modules.index("core.stem") < modules.index("core.head") < len(modules)


def test_a_wrong_weight_is_found_at_its_node(edge_export: Path, tmp_path: Path) -> None:
    folder = copy_export(edge_export, tmp_path / "wrong")
    model = onnx.load(folder / "core.onnx")
    weight = next(i for i in model.graph.initializer if i.name == "core.blocks.1.weight")
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0, 0] += 0.5
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, folder / "core.onnx")
    report = check_export(folder, small_frames())
    assert not report.passed
    assert report.first_diverging == "core.blocks.1/Conv"


@pytest.mark.data
def test_swapped_taps_are_found_at_the_filter(
    mff_export: Path, official_weights: Path, tmp_path: Path
) -> None:
    folder = copy_export(mff_export, tmp_path / "wrong")
    model = onnx.load(folder / "core.onnx")
    products = [node for node in model.functions[0].node if node.op_type == "Mul"]
    products[0].input[1], products[48].input[1] = products[48].input[1], products[0].input[1]
    onnx.save(model, folder / "core.onnx")
    report = check_export(folder, small_frames(), checkpoint=official_weights)
    assert not report.passed
    assert report.first_diverging == "core.layers.0.MGF.filter_1/DynamicFilter"


@pytest.mark.parametrize("file", ["core.onnx", "models/dynamic.onnx"])
def test_a_file_that_is_not_plain_is_not_run(edge_export: Path, tmp_path: Path, file: str) -> None:
    folder = copy_export(edge_export, tmp_path / "odd")
    (folder / file).write_bytes((folder / file).read_bytes() + b"\x98\x06\x01")  # field 99
    with pytest.raises(UserError, match=f"{file} is not a plain ONNX file"):
        check_export(folder, small_frames())


@pytest.mark.data
def test_official_weights_pass_on_real_frames(
    mff_export: Path, official_weights: Path, shared: Path
) -> None:
    tno = shared / "data" / "tno"
    frames = read_frames(list_recordings(str(tno), "val"), 1)
    report = check_export(mff_export, frames, checkpoint=official_weights, nodes=True)
    assert report.passed and report.first_diverging is None
    assert len(report.nodes) > 100
    assert [row.graph for row in report.rows] == ["core.onnx", "models/dynamic.onnx"]


def test_another_backend_that_computes_something_else_fails(edge_export: Path) -> None:
    with BaselineSession("average") as session:
        report = check_export(edge_export, small_frames(), sessions=[session])
    assert not report.passed
    assert [row.backend for row in report.rows if not row.parity.passed] == ["opencv"]


def test_other_weights_than_the_export_was_made_from_are_refused(
    edge_export: Path, tmp_path: Path
) -> None:
    import safetensors.torch

    from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS

    tensors = safetensors.torch.load_file(EDGE_WEIGHTS)
    tensors["head.bias"] = tensors["head.bias"] + 1e-3
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file(tensors, other)
    with pytest.raises(UserError, match="is not the file this export was made from"):
        check_export(edge_export, small_frames(), checkpoint=other)


def test_no_frame_is_an_error(edge_export: Path) -> None:
    with pytest.raises(UserError, match="no frame was given"):
        check_export(edge_export, iter([]))


def test_nan_in_a_graph_never_passes(edge_export: Path, tmp_path: Path) -> None:
    folder = copy_export(edge_export, tmp_path / "nan")
    model = onnx.load(folder / "core.onnx")
    bias = next(i for i in model.graph.initializer if i.name == "core.head.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(tuple(bias.dims), np.nan, "f4"), bias.name))
    onnx.save(model, folder / "core.onnx")
    assert not check_export(folder, small_frames()).passed
