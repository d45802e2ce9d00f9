"""The reference network: sizes, its start, its way into an export folder, its command."""

import json
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save_file

from mgdn_edge import cli
from mgdn_edge.export.export_network import export_network
from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS, IR_WEIGHTS, build_network, load_network
from mgdn_edge.export.networks.mgdn import VARIANTS
from mgdn_edge.export.networks.mgdn_ir import MGDN_IR, build_mgdn_ir
from mgdn_edge.export.train import count_parameters
from mgdn_edge.export.training_recipes import RECIPES, Recipe
from mgdn_edge.export.training_record import read_training_record
from mgdn_edge.runtime.bundle.graph_facts import decode_graph_facts
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("ir") / "ir.safetensors"
    save_file(build_mgdn_ir().state_dict(), path)
    return path


def test_it_is_the_multi_focus_network_on_one_channel() -> None:
    mff = VARIANTS["mff"]
    same = ("width", "depths", "heads", "window", "mlp_ratio", "residual")
    assert all(getattr(MGDN_IR, name) == getattr(mff, name) for name in same)
    assert (MGDN_IR.inputs, MGDN_IR.outputs) == ((1, 1), 1)
    assert count_parameters(build_mgdn_ir()) == 177_353


@torch.no_grad()
def test_its_filters_start_close_to_the_identity() -> None:
    torch.manual_seed(0)
    network = build_mgdn_ir()
    stage = network.layers[0].MGF
    feature = torch.rand(2, 30, 16, 16)
    filtered = stage.filter_1(feature, stage.kernel_predictor_ref(feature))
    assert float((filtered - feature).abs().mean()) < 0.3 * float(feature.abs().mean())


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (32, 48)])
def test_every_size_is_kept_and_stays_in_range(size: tuple[int, int]) -> None:
    planes = torch.rand(2, 1, 1, *size)
    fused = build_mgdn_ir()(*planes)
    assert fused.shape == (1, 1, *size)
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1


@pytest.mark.slow
def test_it_exports_as_a_fusing_network(weights: Path, tmp_path: Path) -> None:
    record = export_network("ir", tmp_path / "out", checkpoint=weights, sizes=[(32, 48)])
    assert (record.network, record.variant) == ("mgdn-ir", "ir")
    assert record.fusion_spec.global_statistics
    assert [stream.channels for stream in record.fusion_spec.inputs] == [1, 1]
    assert [model.name for model in record.models] == ["dynamic", "48x32"]
    facts = decode_graph_facts((tmp_path / "out" / "graph.json").read_bytes())
    assert facts.network == "mgdn-ir"


def test_it_has_no_release_padding() -> None:
    with pytest.raises(UserError, match="use --padding minimal"):
        load_network("ir", None, release_padding=True)


def test_its_packaged_weights_are_those_of_its_recipe() -> None:
    record = read_training_record(IR_WEIGHTS)
    assert (record.network, record.steps) == ("mgdn-ir", RECIPES["mgdn-ir"].steps)
    assert msgspec.convert(record.recipe, Recipe) == RECIPES["mgdn-ir"]
    assert record.digests == read_training_record(EDGE_WEIGHTS).digests
    assert record.licences["roadscene"].startswith("RoadScene states no licence")
    assert load_network("ir", None, release_padding=False).fuses


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    save_file(build_network("mgdn-edge").state_dict(), tmp_path / "edge.safetensors")
    with pytest.raises(UserError, match="is not a mgdn-ir checkpoint"):
        load_network("ir", tmp_path / "edge.safetensors", release_padding=False)


def test_the_command_trains_it_to_an_export(
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import cv2

    for path in data_root.glob("*.png"):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (112, 96)))
    output = tmp_path / "ir.safetensors"
    arguments = ["train", str(data_root), str(output), "--recipe", "mgdn-ir", "--steps", "2"]
    monkeypatch.setattr("sys.argv", ["mgdn", *arguments, "--json"])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code in (0, None)
    record = json.loads(capsys.readouterr().out)
    assert (record["network"], record["steps"]) == ("mgdn-ir", 2)
    assert load_network("ir", output, release_padding=False).fuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "o.safetensors"], "nowhere does not exist"),
        (["nowhere", "o.safetensors", "--recipe", "x"], "recipe 'x' is unknown"),
        (["nowhere", "o.safetensors", "--steps", "1", "--minutes", "1"], "not both"),
        ([".,.", "o.pth"], "does not end in .safetensors"),
        (["nowhere", "o.safetensors", "--infrared-span", "9:1"], "LOW must be below HIGH"),
    ],
)
def test_wrong_commands_are_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["mgdn", "train", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("mgdn: error: ") and message in errors
    assert len(errors.splitlines()) == 1
