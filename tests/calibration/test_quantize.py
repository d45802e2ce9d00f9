"""mgdn quantize from end to end: accepted, reproducible, and every planted mistake refused."""

import json
import sys

import msgspec
import numpy as np
import pytest
from support.progress import Told

from mgdn_edge.calibration.clip_points import ClipMethod
from mgdn_edge.calibration.quantize import QuantizeOptions, quantize_bundle
from mgdn_edge.cli import main
from mgdn_edge.runtime.bundle.print_manifest import print_manifest
from mgdn_edge.runtime.bundle.ranges import decode_ranges, ranges_digest
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract import variant_choice
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.contract.variant_choice import choose_variant
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.machine.processor_class import processor_class
from mgdn_edge.runtime.machine.progress import SILENT
from mgdn_edge.runtime.packing.verification import verify_bundle

CPU, TENSORRT = 0, 1
TURNS = 2  # its figures are not asserted


def quantize(edge_bundle, folder, output, held, progress=SILENT, **changes):
    options = QuantizeOptions(held_out=(str(held),), turns=TURNS, **changes)
    return quantize_bundle(edge_bundle, str(folder), output, options, progress)


@pytest.fixture(scope="module")
def accepted(edge_bundle, street_folder, held_folder, tmp_path_factory):
    """(bundle, result) of the default network calibrated on drawn streets."""
    output = tmp_path_factory.mktemp("quantised") / "edge8.mgdn"
    return output, quantize(edge_bundle, street_folder, output, held_folder)


def test_the_default_network_is_accepted_on_quality(accepted):
    output, result = accepted
    for verdict in result.manifest.verdicts:
        assert verdict.accepted, verdict.reasons
        assert verdict.quality.psnr_mean > 45 and verdict.quality.frames == 6
    assert result.manifest.verdicts[CPU].speed.processor == processor_class()
    labels = [(v.precision, v.backend) for v in result.manifest.verdicts]
    assert labels[TENSORRT:] == [("int8", "tensorrt"), ("fp16", "tensorrt")]
    for verdict in result.manifest.verdicts[TENSORRT:]:
        assert verdict.speed is None and verdict.faster is None
    assert [path.name for path in output.parent.iterdir()] == ["edge8.mgdn"]


def test_every_step_is_told_with_its_parts(edge_bundle, street_folder, held_folder, tmp_path):
    told = Told()
    quantize(edge_bundle, street_folder, tmp_path / "8.mgdn", held_folder, told, targets=("cpu",))
    titles = [title for title, _ in told.steps]
    assert titles == [
        "looking at the pairs", "observing calibration pairs",
        "fusing held-out pairs in float32", "judging int8 for cpu", "writing the bundle",
    ]  # fmt: skip
    assert [total for _, total in told.steps[2:4]] == [6, 6] and not told.open


def test_the_bundle_verifies_and_holds_ranges_pairs_and_reasons(accepted):
    output, result = accepted
    verdict = verify_bundle(output)
    assert (
        len(verdict.golden) == 3 + 3 + 2 + 2
    )  # float32, CPU, and TensorRT's int8 and fp16 of fixed sizes
    with open_bundle(output) as bundle:
        (ref,) = (each for each in bundle.manifest.files if each.path == "ranges.json")
        ranges = decode_ranges(bundle.read(ref))
        manifest = bundle.manifest
    calibration = manifest.provenance.calibration
    assert ranges_digest(ranges) == calibration.ranges == result.manifest.verdicts[0].ranges
    assert calibration.pairs == ranges.pairs and len(calibration.held_out) == 6
    assert "12 of 12 pairs" in calibration.selection
    reasons = {each.node: each.reason for each in manifest.verdicts[CPU].nodes}
    assert "predicts the kernels" in reasons["core.head/Conv"]
    print_manifest(manifest, signed=False)


def test_the_same_command_gives_the_same_ranges_and_figures(
    accepted, edge_bundle, street_folder, held_folder, tmp_path
):
    again = quantize(edge_bundle, street_folder, tmp_path / "again.mgdn", held_folder)
    _, first = accepted
    assert ranges_digest(again.ranges) == ranges_digest(first.ranges)
    for one, other in zip(first.manifest.verdicts, again.manifest.verdicts, strict=True):
        assert one.quality == other.quality and one.nodes == other.nodes
    for one, other in zip(first.manifest.variants, again.manifest.variants, strict=True):
        assert one == other


def verdicts_with(manifest, **changes):
    changed = [msgspec.structs.replace(v, **changes) for v in manifest.verdicts]
    return msgspec.structs.replace(manifest, verdicts=tuple(changed))


def test_the_default_precision_obeys_the_verdict(accepted, monkeypatch):
    manifest = verdicts_with(accepted[1].manifest, faster=True)
    assert choose_variant(manifest, size=(480, 640)).precision == "int8"
    assert choose_variant(manifest, size=(100, 90)).name == "dynamic"
    assert choose_variant(manifest, size=(480, 640), precision="fp32").precision == "fp32"
    slower = verdicts_with(manifest, faster=False)
    assert choose_variant(slower, size=(480, 640)).precision == "fp32"
    assert choose_variant(slower, size=(480, 640), precision="int8").precision == "int8"
    refused = verdicts_with(manifest, accepted=False)
    assert choose_variant(refused, size=(480, 640)).precision == "fp32"
    # TensorRT's was not measured for speed, whatever the CPU's verdict says.
    assert choose_variant(accepted[1].manifest, size=(480, 640), backend="tensorrt").precision == (
        "fp32"
    )
    monkeypatch.setattr(variant_choice, "processor_class", lambda: "another processor")
    assert choose_variant(manifest, size=(480, 640)).precision == "fp32"


def test_an_int8_session_says_so_and_fuses(accepted, other_streets):
    output, _ = accepted
    name, visible, infrared = other_streets[0]
    with (
        open_session(output, SessionChoice(precision="int8")) as low,
        open_session(output, SessionChoice(precision="fp32")) as full,
    ):
        assert (low.precision, full.precision) == ("int8", "fp32")
        difference = low.fuse(visible, infrared).astype(int) - full.fuse(visible, infrared)
    assert 0 < np.abs(difference).max() <= 12, name


def refuse(edge_bundle, folder, tmp_path, held, **changes):
    result = quantize(edge_bundle, folder, tmp_path / "out.mgdn", held, **changes)
    verdict = result.manifest.verdicts[CPU]
    assert not verdict.accepted
    assert {v.precision for v in result.manifest.variants if "cpu" in v.backends[0]} == {"fp32"}
    with pytest.raises(UserError, match="int8 was refused: "):
        open_session(tmp_path / "out.mgdn", SessionChoice(precision="int8"))
    return " | ".join(verdict.reasons)


def test_a_far_too_tight_percentile_is_refused(edge_bundle, street_folder, held_folder, tmp_path):
    method = ClipMethod("percentile", 90.0)
    reasons = refuse(edge_bundle, street_folder, tmp_path, held_folder, method=method)
    assert "mean PSNR to float32 is" in reasons
    assert "method percentile 90 cuts off" in reasons and "try --method minmax" in reasons


def test_the_last_layer_in_8_bits_is_refused(edge_bundle, street_folder, held_folder, tmp_path):
    reasons = refuse(
        edge_bundle, street_folder, tmp_path, held_folder,
        int8=("core.head/Conv",), targets=("cpu",),
    )  # fmt: skip
    assert "MI is" in reasons and "2% is allowed" in reasons
    assert "core.head/Conv is in 8 bits because it was asked for; the rules keep it" in reasons


def test_exchanged_cameras_are_refused(edge_bundle, streets, held_folder, tmp_path, pair_writer):
    folder = pair_writer(tmp_path / "exchanged", streets, exchanged=True)
    reasons = refuse(edge_bundle, folder, tmp_path, held_folder, targets=("cpu",))
    assert reasons.startswith("visible and infrared look exchanged in the calibration pairs")


def test_an_all_black_set_is_refused(edge_bundle, held_folder, tmp_path, pair_writer):
    black = np.zeros((64, 80), np.uint8)
    folder = pair_writer(tmp_path / "black", [(str(n), black, black) for n in range(8)])
    with pytest.raises(UserError, match="all 8 calibration pairs are blank"):
        quantize(edge_bundle, folder, tmp_path / "out.mgdn", held_folder)
    assert not (tmp_path / "out.mgdn").exists()


def test_an_already_quantised_bundle_is_quantised_again(
    accepted, street_folder, held_folder, tmp_path
):
    output, _ = accepted
    result = quantize(output, street_folder, tmp_path / "b.mgdn", held_folder, targets=("cpu",))
    assert [v.precision for v in result.manifest.variants] == ["fp32"] * 3 + ["int8"] * 3
    assert len(result.manifest.verdicts) == 1


def run(monkeypatch, capfd, *words):
    monkeypatch.setattr(sys, "argv", ["mgdn", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capfd.readouterr()
    return end.value.code, out, err


def test_the_command_prints_verdicts_or_json(
    monkeypatch, capfd, street_folder, held_folder, tmp_path
):
    words = ("quantize", "mgdn-edge", street_folder, tmp_path / "a.mgdn", "--target", "tensorrt")
    code, out, _ = run(monkeypatch, capfd, *words, "--held-out", held_folder)
    assert code == 0
    assert "int8 for tensorrt accepted, not the default" in out
    assert "speed on tensorrt not measured" in out and "nodes: 6 int8, 27 fp16" in out
    tight = ("--method", "percentile", "--percentile", "80", "-y")
    code, out, _ = run(monkeypatch, capfd, *words, "--held-out", held_folder, *tight, "--json")
    assert code == 1
    verdict, half = json.loads(out)["verdicts"]
    assert half["precision"] == "fp16" and half["accepted"]
    assert not verdict["accepted"] and "cuts off" in " ".join(verdict["reasons"])


def test_a_contract_that_cannot_be_kept_is_refused_clause_by_clause(
    edge_bundle, street_folder, held_folder, tmp_path
):
    reasons = refuse(
        edge_bundle, street_folder, tmp_path, held_folder,
        targets=("cpu",), contract="ssim>=0.99, p95<=0.001ms",
    )  # fmt: skip
    assert "contract p95<=0.001ms: " in reasons and "ms, misses it by" in reasons
    assert "contract ssim" not in reasons
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mgdn"]
