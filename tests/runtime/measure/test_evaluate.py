"""The choice is the first network's, and the report says what fused each network's frames."""

import json

import pytest
from support.progress import Told

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.baselines import BaselineSession
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.engines import engine_plan
from mgdn_edge.runtime.measure.bench import bench_networks
from mgdn_edge.runtime.measure.evaluate import evaluate_networks

SCENE = "synthetic://night?size=160x120"


@pytest.mark.native
def test_the_choice_is_the_first_networks_alone():
    choice = SessionChoice(filter="body", variant="dynamic", threads=1)
    networks = ["mgdn-edge", "mgdn-edge", "average"]
    report = evaluate_networks(SCENE, networks, choice, frames=1)
    found = [(each.network, each.filter_implementation) for each in report.sessions]
    assert found == [("mgdn-edge", "function body"), ("mgdn-edge", "native"), ("average", None)]
    assert [row.network for row in report.rows] == networks


def test_every_judged_seed_is_told():
    told = Told()
    scene = "synthetic://night?size=160x120&frames=2"
    evaluate_networks(scene, ["average", "guided"], seeds=[1, 2, 3], frames=1, progress=told)
    assert (told.steps, told.parts) == ([("judging", 6)], 6)


def test_a_fallback_is_in_the_report_and_in_the_table(run_mgdn, monkeypatch):
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "no_such_tensorrt")
    words = ("evaluate", SCENE, "--frames", 1, "--compare", "mgdn-edge", "--backend", "tensorrt")
    refused = run_mgdn(*words)
    assert refused.code == 3 and "--fallback onnxruntime-cpu" in refused.err
    words += ("--fallback", "onnxruntime-cpu")
    done = run_mgdn(*words, "--json")
    first, second = json.loads(done.out)["sessions"]
    assert first["execution"]["fallback"].startswith("onnxruntime-cpu in place of tensorrt: ")
    assert second["execution"] == {} and done.err.startswith("onnxruntime-cpu in place of")
    done = run_mgdn(*words)
    assert done.out.count("mgdn-edge: onnxruntime-cpu, dynamic, fp32") == 2
    assert "mgdn-edge, fallback: onnxruntime-cpu in place of tensorrt" in done.out


@pytest.mark.parametrize(
    "measure",
    [
        lambda networks: evaluate_networks(SCENE, networks, frames=1),
        lambda networks: bench_networks(networks, size=(24, 32), frames=1),
    ],
)
def test_sessions_opened_before_one_that_cannot_be_are_closed(monkeypatch, measure):
    closed = []
    monkeypatch.setattr(BaselineSession, "close", lambda self: closed.append(self.network))
    with pytest.raises(UserError, match="'nope' is unknown"):
        measure(["average", "laplacian", "nope"])
    assert sorted(closed) == ["average", "laplacian"]
