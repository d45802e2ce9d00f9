"""The real thing: packaged network, tiny bundle, this machine. No figure is asserted."""

import json

import msgspec
import pytest
from support.progress import Told

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.measure.profiling import profile
from mgdn_edge.runtime.measure.profiling.profile import middle_half, profile_network
from mgdn_edge.runtime.measure.profiling.profile_result import ProfileReport


@pytest.fixture(autouse=True)
def known_ceilings(monkeypatch):
    """Measuring them is test_measure_ceilings.py's; here it would be most of the time."""
    ceilings = Ceilings(1, 20.0, 100.0, 64)
    monkeypatch.setattr(profile, "measure_ceilings", lambda threads: ceilings)


def check_sums(report):
    parts, account = report.parts, report.account
    assert sum(part.ms for part in parts) == pytest.approx(account.kernels_ms, abs=0.01)
    spent = account.kernels_ms + account.between_ms + account.session_ms + account.call_ms
    assert account.sum_ms == pytest.approx(spent, abs=0.001)
    assert sum(report.inside.values()) == pytest.approx(account.kernels_ms, abs=0.01)
    for groups in (report.modules, report.operators):
        assert sum(group.ms for group in groups) == pytest.approx(account.kernels_ms, abs=0.01)
    nodes = [name for part in parts for name in part.nodes]
    assert len(nodes) == len(set(nodes))


@pytest.mark.parametrize("filter", [None, "body"])
def test_every_node_of_the_default_network_is_accounted_for(filter):
    report = profile_network("mgdn-edge", SessionChoice(threads=1, filter=filter), frames=4).report
    check_sums(report)
    assert report.account.unknown_share == 0
    nodes = {name for part in report.parts for name in part.nodes}
    assert len(nodes) == 27 and "core.filter/DynamicFilter" in nodes
    assert {"core.blocks.0", "core.stem"} <= {part.module for part in report.parts}
    top = max(report.parts, key=lambda part: part.ms)
    assert report.advice[0].startswith(f"The top cost is {top.name}")
    assert len(report.advice) == 3
    stem = next(part for part in report.parts if part.name == "core.stem/Conv")
    assert stem.flops == 89_088_000 + 614_400
    # float32: two input planes, weights and bias, 32 channels at a quarter of each side
    assert stem.bytes == 4 * (2 * 480 * 640 + 32 * 2 * 36 + 32 + 32 * 120 * 160)
    assert (report.size, report.facts_size, report.variant) == ("640x480", "640x480", "640x480")
    if filter == "body":
        body = next(part for part in report.parts if part.operator == "DynamicFilter")
        assert body.kernels > 40 and "body" in " ".join(report.advice)


@pytest.mark.parametrize("filter", [None, "body"])
def test_padding_of_a_dynamic_variant_is_told_apart(filter):
    report = profile_network(
        "mgdn-edge", SessionChoice(threads=1, filter=filter), size=(94, 126), frames=2
    ).report
    check_sums(report)
    assert (report.size, report.facts_size, report.variant) == ("126x94", "640x480", "dynamic")
    nodes = {name for part in report.parts for name in part.nodes}
    assert len(nodes) == 27
    unknown = {part.operator for part in report.parts if part.how == "unknown"}
    assert {"Gather", "Shape", "Range"} <= unknown and not {"Conv", "Pad"} & unknown
    filtered = next(part for part in report.parts if part.operator == "DynamicFilter")
    assert (filtered.kernels > 40) is (filter == "body")
    conv = next(part for part in report.parts if part.name == "core.blocks.2/Conv")
    assert conv.flops == round((354_508_800 + 2 * 614_400) * 94 * 126 / (480 * 640))


@pytest.mark.parametrize("size", [(1, 1), (7, 33)])
def test_a_small_bundle_of_awkward_sizes(tiny_bundle, size):
    report = profile_network(tiny_bundle, size=size, frames=1).report
    assert report.frames == 1 and report.network == "tiny"
    assert report.account.kernels_ms >= 0
    assert msgspec.json.decode(msgspec.json.encode(report), type=ProfileReport) == report


def test_steps_are_told(tiny_bundle):
    told = Told()
    profile_network(tiny_bundle, size=(12, 16), frames=2, progress=told)
    assert told.steps == [
        ("opening", None),
        ("measuring the machine", None),
        ("frames", 2),
        ("reading the profile", None),
    ]


def test_baselines_and_wrong_words_are_refused(run_mgdn, tmp_path):
    assert "does not end in" in run_mgdn("profile", "--report", tmp_path / "x.txt").err
    with pytest.raises(UserError, match="mgdn bench --network average"):
        profile_network("average")
    with pytest.raises(UserError, match="did you mean mgdn-edge"):
        profile_network("mgdn-egde")
    with pytest.raises(UserError, match="give --frames 1"):
        profile_network("mgdn-edge", frames=0)
    with pytest.raises(UserError, match="mgdn bench --backend tensorrt"):
        profile_network("mgdn-edge", SessionChoice(backend="tensorrt"))
    with pytest.raises(UserError, match="variant 1x1"):
        profile_network("mgdn-edge", SessionChoice(variant="1x1"))


def test_nothing_is_left_behind(tiny_bundle, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    profile_network(tiny_bundle, size=(12, 16), frames=1)
    assert list(tmp_path.iterdir()) == []


def test_json_is_the_report(run_mgdn, tiny_bundle):
    done = run_mgdn("profile", "--bundle", tiny_bundle, "--size", "16x12", "--frames", 2, "--json")
    assert (done.code, done.err) == (0, "")
    report = msgspec.json.decode(done.out, type=ProfileReport)
    assert report.schema == "mgdn.profile/1" and report.variant == "16x12"
    assert json.loads(done.out)["conditions"][0]["clocks"] is not None


def test_the_terminal_shows_sum_advice_and_tables(run_mgdn):
    done = run_mgdn("profile", "--size", "128x96", "--frames", 2, "--threads", 1)
    assert (done.code, done.err) == (0, "")
    for words in (
        "of the", "ms measured unprofiled", "1. The top cost is", "by module", "by operator",
        "core.blocks.0/Conv", "ceilings: 20.0 GB/s", "power mode:", "energy a frame:",
    ):  # fmt: skip
        assert words in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines() if "core.blocks" in line[:20])


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        ([5], [0]),
        ([9, 1], [0, 1]),
        ([9, 1, 5, 4], [2, 3]),
        ([1, 2, 3, 4, 5, 6, 7, 80], [2, 3, 4, 5]),
    ],
)
def test_the_middle_half_leaves_out_the_fastest_and_the_slowest(times, kept):
    import numpy as np

    assert middle_half(np.array(times)) == kept
