"""The export folder: what is written, what the graphs compute, what is refused."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mgdn_edge.export.export_network import export_network
from mgdn_edge.export.frame_network import FrameNetwork
from mgdn_edge.export.network_catalogue import load_edge, load_network
from mgdn_edge.runtime.bundle.export_record import read_export_record
from mgdn_edge.runtime.bundle.fusion_spec import METADATA_KEY, decode_spec
from mgdn_edge.runtime.bundle.graph_facts import decode_graph_facts
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

pytestmark = pytest.mark.export

BUDGET_FLOPS = 2e9  # of mgdn-edge at 640x480
PUBLISHED_MFF_FLOPS = 119.9e9  # multiply-adds of convolutions, products and filters at 640x480


def graph_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.onnx"))


def test_files_are_opset_18_ir_10_with_and_without_the_body(edge_export: Path) -> None:
    files = graph_files(edge_export)
    assert [file.name for file in files] == [
        "core.onnx",
        "core.plugin.onnx",
        "640x480.onnx",
        "640x480.plugin.onnx",
        "640x512.onnx",
        "640x512.plugin.onnx",
        "dynamic.onnx",
        "dynamic.plugin.onnx",
    ]
    for file in files:
        model = onnx.load(file)
        assert model.ir_version <= 10
        assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18, "mgdn": 1}
        assert [node.op_type for node in model.graph.node].count("DynamicFilter") == 1
        bodies = [(function.domain, function.name) for function in model.functions]
        assert bodies == ([] if ".plugin." in file.name else [("mgdn", "DynamicFilter")])
        properties = {entry.key: entry.value for entry in model.metadata_props}
        assert decode_spec(properties[METADATA_KEY]).network == "mgdn-edge"


def test_files_name_modules_and_no_place_on_this_machine(edge_export: Path) -> None:
    model = onnx.load(edge_export / "models" / "dynamic.onnx")
    assert any(node.name == "core.stem/Conv" for node in model.graph.node)
    assert len({node.name for node in model.graph.node}) == len(model.graph.node)
    here = str(Path(__file__).parents[2]).encode()
    for file in graph_files(edge_export):
        content = file.read_bytes()
        assert here not in content
        assert b"Traceback" not in content and b'File "' not in content


def test_an_export_is_reproduced_byte_for_byte(edge_export: Path, tmp_path: Path) -> None:
    export_network("edge", tmp_path / "again")
    for file in edge_export.rglob("*"):
        if file.is_file():
            again = tmp_path / "again" / file.relative_to(edge_export)
            assert again.read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 200), (101, 131), (480, 640)])
def test_every_size_gives_the_pixels_of_torch(edge_export: Path, size: tuple[int, int]) -> None:
    scene = draw_scene(*size)
    planes = [plane[None, None] for plane in scene]
    loaded = load_network("edge", None, release_padding=False)
    with torch.no_grad():
        wanted = FrameNetwork(loaded.core, loaded.spec)(*map(torch.from_numpy, planes)).numpy()
    names = ["dynamic"] + [f"{w}x{h}" for h, w in [size] if (h, w) == (480, 640)]
    for name in names:
        session = onnxruntime.InferenceSession(edge_export / "models" / f"{name}.onnx")
        fused = session.run(None, dict(zip(("visible", "infrared"), planes, strict=True)))[0]
        assert fused.dtype == np.uint8 and fused.shape == (1, 1, *size)
        assert np.abs(fused.astype(int) - wanted).max() <= 1


def test_a_fixed_size_carries_no_size_arithmetic_and_no_padding_it_does_not_need(
    edge_export: Path,
) -> None:
    model = onnx.load(edge_export / "models" / "640x480.onnx")
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"Shape", "Range", "Mod", "Gather", "Slice"}


def test_a_fixed_size_that_needs_padding_keeps_it(tmp_path: Path) -> None:
    export_network("edge", tmp_path / "odd", sizes=[(31, 45)])
    scene = draw_scene(31, 45)
    feed = {"visible": scene.visible[None, None], "infrared": scene.infrared[None, None]}
    fixed, dynamic = (
        onnxruntime.InferenceSession(tmp_path / "odd" / "models" / f"{name}.onnx").run(None, feed)
        for name in ("45x31", "dynamic")
    )
    np.testing.assert_array_equal(fixed[0], dynamic[0])


def test_the_edge_network_is_within_its_arithmetic_budget(edge_export: Path) -> None:
    facts = decode_graph_facts((edge_export / "graph.json").read_bytes())
    assert (facts.height, facts.width) == (480, 640)
    assert facts.total_flops <= BUDGET_FLOPS
    convolutions = [node for node in facts.nodes if node.operator == "Conv"]
    assert convolutions[0].module == "core.stem"
    assert [node.operator for node in facts.nodes].count("mgdn::DynamicFilter") == 1


def test_the_record_says_what_the_weights_were_trained_on(edge_export: Path) -> None:
    record = read_export_record(edge_export)
    assert record.training is not None
    licences = {source.name: source.licence for source in record.training.data}
    assert "RoadScene states no licence" in licences["roadscene"]
    assert not {"llvip", "vifb"} & set(licences)


@pytest.mark.data
def test_the_published_network_costs_what_the_specification_counts(
    mff_export: Path,
) -> None:
    facts = decode_graph_facts((mff_export / "graph.json").read_bytes())
    counted = sum(
        node.flops
        for node in facts.nodes
        if node.operator in ("Conv", "MatMul", "Gemm") or node.operator.startswith("mgdn::")
    )
    # Kernel predictors are 32 channels wide instead of 30: two 3x3 convolutions each, four of them.
    pixels = facts.height * facts.width
    counted -= 4 * 2 * 9 * 2 * (32**2 - 30**2) * pixels
    # Two norms, GELU and two residuals of each of the 6 blocks are in fused operations here.
    counted -= 6 * (2 * 8 * 30 + 5 * 60 + 2 * 30) * pixels
    # Everything counted grows with the number of pixels.
    scale = 480 * 640 / (facts.height * facts.width)
    assert counted * scale == pytest.approx(PUBLISHED_MFF_FLOPS, rel=0.02)


@pytest.mark.data
def test_a_network_that_does_not_fuse_luma_gets_its_core_graph_only(
    shared: Path, tmp_path: Path
) -> None:
    from safetensors.torch import save_file
    from support import mgdn_golden

    weights = tmp_path / "gdsr.safetensors"
    tensors = mgdn_golden.hashed_tensors(shared / "golden", "gdsr-x4")
    save_file({f"module.{name}": value for name, value in tensors.items()}, weights)
    record = export_network("gdsr-x4", tmp_path / "out", checkpoint=weights)
    assert record.models == ()
    assert [file.name for file in graph_files(tmp_path / "out")] == list(record.core_files)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"variant": "unheard"}, "variant 'unheard' is unknown; known: edge, "),
        ({"variant": "mff"}, "add --checkpoint FILE"),
        ({"variant": "edge", "checkpoint": Path("absent.safetensors")}, "does not exist"),
        ({"variant": "edge", "release_padding": True}, "use --padding minimal"),
    ],
)
def test_wrong_arguments_are_refused_and_leave_nothing(
    tmp_path: Path, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        export_network(output=tmp_path / "out", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_content_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UserError, match="neither empty nor an export"):
        export_network("edge", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["precious"]


def test_edge_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"is not a mgdn-edge checkpoint: .* missing"):
        load_edge(tmp_path / "other.safetensors")
