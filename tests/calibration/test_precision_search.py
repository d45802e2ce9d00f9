"""Contracts, losses by layer, and the search that goes on where it was interrupted."""

import msgspec
import pytest
from support.progress import Told

from mgdn_edge.calibration.candidate_measurements import fuse_in_float
from mgdn_edge.calibration.candidate_trial import decide_target
from mgdn_edge.calibration.clip_points import ClipMethod
from mgdn_edge.calibration.contract import broken_clauses, parse_contract
from mgdn_edge.calibration.lowered_models import dynamic_variant, read_model
from mgdn_edge.calibration.precision_search import (
    Measurements,
    best_point,
    explain_kept,
    search_precisions,
)
from mgdn_edge.calibration.qdq import clip_tensors
from mgdn_edge.calibration.relu_clip_points import cut_discarded
from mgdn_edge.calibration.sensitivity import Unit, UnitLoss, list_units, order_by_worth
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT
from mgdn_edge.runtime.pairing.recordings import list_recordings, read_frame_pairs
from mgdn_edge.runtime.quality.precision_verdict import NodeDecision, QualityFigures, SpeedFigures

QUALITY = QualityFigures(9, 50.0, 44.0, "x", 0.996, 0.99, -0.002, {})
SPEED = SpeedFigures("x86_64", "m", "640x480", 60, 30.0, 20.0, 27.4, 0.66)


def test_a_contract_is_read_and_written_as_typed():
    clauses = parse_contract("ssim>=0.995, p95 <= 25ms,shift<=0.5%, psnr_worst>=38 dB")
    assert ", ".join(map(str, clauses)) == "ssim>=0.995, p95<=25ms, shift<=0.5%, psnr_worst>=38dB"


@pytest.mark.parametrize(
    "text", ["", "ssim", "ssim<=0.9", "p95>=3", "p95<=3s", "speed>=2", "ssim>=a", "psnr>=40;p95<=3"]
)
def test_a_wrong_clause_names_the_right_ones(text):
    with pytest.raises(UserError, match=r"is not one of psnr>=N, .*p95<=Nms"):
        parse_contract(text)


def test_broken_clauses_say_by_how_much():
    contract = parse_contract("psnr>=49, ssim>=0.998, p95<=25ms, p50<=21ms, shift<=0.1%")
    assert broken_clauses(contract, QUALITY, SPEED, "cpu") == [
        "contract ssim>=0.998: 0.996, misses it by 0.002",
        "contract p95<=25ms: 27.4ms, misses it by 2.4ms",
        "contract shift<=0.1%: 0.2%, misses it by 0.1%",
    ]
    assert broken_clauses(contract[2:3], QUALITY, None, "tensorrt") == [
        "contract p95<=25ms: not measured on tensorrt"
    ]


def decision(node, operator="Conv", precision="int8"):
    return NodeDecision(node, node.rpartition("/")[0], operator, precision, "")


def test_deep_networks_are_measured_module_by_module():
    nodes = [
        decision(f"core.layers.{layer}.block{block}.conv{conv}/Conv")
        for layer in range(2) for block in range(3) for conv in range(4)
    ]  # fmt: skip
    nodes += [decision("core/Add", "Add"), decision("core.last/Conv", precision="fp32")]
    assert len(list_units(nodes, most=24)) == 24
    assert [unit.name for unit in list_units(nodes, most=8)] == [
        f"core.layers.{layer}.block{block}" for layer in range(2) for block in range(3)
    ]
    units = list_units(nodes, most=2)
    assert [len(unit.nodes) for unit in units] == [12, 12]
    assert sorted(n for unit in units for n in unit.nodes) == sorted(n.node for n in nodes[:24])


def test_the_dearest_layer_is_given_up_first():
    losses = [
        UnitLoss("cheap", ("a",), 60.0, 1.0, 2.0),
        UnitLoss("dear", ("b",), 50.0, 1.0, 2.0),
        UnitLoss("fast", ("c",), 50.0, 1.0, 20.0),
        UnitLoss("slower", ("d",), 70.0, 1.0, -0.5),
    ]
    assert order_by_worth(losses) == ["slower", "dear", "fast", "cheap"]
    untimed = [msgspec.structs.replace(loss, saved_ms=None) for loss in losses]
    assert order_by_worth(untimed) == ["dear", "fast", "cheap", "slower"]


@pytest.fixture(scope="module")
def opened(edge_bundle):
    with open_bundle(edge_bundle) as bundle:
        yield bundle


@pytest.fixture(scope="module")
def frames(opened, held_folder):
    pairs = list(read_frame_pairs(list_recordings(str(held_folder), "train")))[::3]
    return fuse_in_float(opened.read(dynamic_variant(opened).file), opened.manifest.spec, pairs)


def measurements(opened, frames, ranges, output, progress=SILENT):
    model = read_model(opened.read(dynamic_variant(opened).file))
    clips = cut_discarded(model, clip_tensors(ranges, ClipMethod(), "tensorrt"))

    def decide(kept):
        return decide_target(model, ranges, "tensorrt", keep=kept)

    return Measurements(opened, "tensorrt", decide, clips, frames, output, 1, progress)


def test_the_search_gives_up_layers_until_the_contract_holds(opened, frames, edge_ranges, tmp_path):
    path = tmp_path / "out.mgdn"
    easy = parse_contract("psnr>=40")
    result = search_precisions(measurements(opened, frames, edge_ranges, path), easy, "tensorrt")
    assert result.chosen == 0 and result.points[0].kept == ()
    assert [len(point.kept) for point in result.points] == [0, 1, 2, 3]
    psnrs = [point.quality.psnr_mean for point in result.points]
    assert psnrs == sorted(psnrs)
    alone = {loss.unit: loss.psnr for loss in result.losses}
    assert alone.keys() == {f"core.blocks.{n}/Conv" for n in range(3)}
    assert min(alone.values()) > psnrs[0]
    bound = (psnrs[0] + psnrs[1]) / 2
    harder = parse_contract(f"psnr>={bound:.3f}")
    result = search_precisions(measurements(opened, frames, edge_ranges, path), harder, "tensorrt")
    assert result.chosen == 1
    (kept,) = explain_kept(result, best_point(result, harder)).items()
    assert kept[0] == min(alone, key=alone.get)
    assert kept[1].startswith("kept float by the contract: alone in 8 bits")
    assert list(tmp_path.iterdir()) == []


def test_a_contract_nothing_keeps_has_a_nearest_point(opened, frames, edge_ranges, tmp_path):
    contract = parse_contract("psnr>=99")
    found = measurements(opened, frames, edge_ranges, tmp_path / "out.mgdn")
    result = search_precisions(found, contract, "tensorrt")
    assert result.chosen is None
    point = best_point(result, contract)
    assert len(point.kept) == 3 and "misses it by" in point.broken[0]


def test_an_interrupted_search_does_not_judge_again(opened, frames, edge_ranges, tmp_path):
    path, asked = tmp_path / "out.mgdn", []

    def interrupt():
        asked.append(1)
        if len(asked) == 3:
            raise KeyboardInterrupt

    contract = parse_contract("psnr>=40")
    first = measurements(opened, frames, edge_ranges, path, Told(interrupt))
    with pytest.raises(KeyboardInterrupt):
        search_precisions(first, contract, "tensorrt")
    again = measurements(opened, frames, edge_ranges, path)
    assert len(again.judged) == 3
    other = measurements(opened, frames[:1], edge_ranges, path)
    assert other.judged == {}
    kept = dict(again.judged)
    again.frames = []  # judging anything known again would fail
    assert {unit.name for unit in again.units} == set(kept)
    assert all(again.judge((Unit(name, (name,)),)) == kept[name] for name in kept)


def test_the_file_of_another_search_is_neither_read_nor_removed(
    opened, frames, edge_ranges, tmp_path
):
    output = tmp_path / "out.mgdn"
    contract = parse_contract("psnr>=40")

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first = measurements(opened, frames, edge_ranges, output, Told(interrupt))
        search_precisions(first, contract, "tensorrt")
    kept = first.path.read_bytes()
    other = measurements(opened, frames[:1], edge_ranges, output)
    assert other.path != first.path and other.path.parent == first.path.parent == tmp_path
    search_precisions(other, contract, "tensorrt")
    assert first.path.read_bytes() == kept and list(tmp_path.iterdir()) == [first.path]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"key": 1}', b"mine"])
def test_a_file_that_is_not_of_a_search_stays(opened, frames, edge_ranges, tmp_path, content):
    output = tmp_path / "out.mgdn"
    path = measurements(opened, frames, edge_ranges, output).path
    path.write_bytes(content)
    found = measurements(opened, frames, edge_ranges, output)
    assert found.judged == {}
    search_precisions(found, parse_contract("psnr>=40"), "tensorrt")
    assert path.read_bytes() == content


def test_a_full_disk_costs_no_search(opened, frames, edge_ranges, tmp_path, fill_disk):
    fill_disk(".search")
    found = measurements(opened, frames, edge_ranges, tmp_path / "out.mgdn")
    result = search_precisions(found, parse_contract("psnr>=40"), "tensorrt")
    assert result.chosen == 0 and list(tmp_path.iterdir()) == []
