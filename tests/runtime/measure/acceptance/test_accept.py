"""Whole acceptances: passed, refused, broken, interrupted; what was measured is always kept."""

import json

import msgspec
import numpy as np
import pytest
from support.engine_samples import ORIN, PLENTY, STANDIN
from support.progress import Told

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.doctor.doctor_report import DoctorReport, Finding
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion import backend_table
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.engines import engine_plan, engine_session, variant_engine
from mgdn_edge.runtime.measure.acceptance import accept, filter_library
from mgdn_edge.runtime.measure.acceptance.accept import accept_bundle
from mgdn_edge.runtime.measure.acceptance.accept_request import AcceptRequest, choose_backend
from mgdn_edge.runtime.packing import bundle_writer
from mgdn_edge.runtime.packing.creation import create_bundle

pytestmark = pytest.mark.export

NAMES = [
    "machine", "plugin",
    "session fp32 640x512", "parity fp32 640x512", "latency fp32 640x512",
    "session fp32 1280x720", "parity fp32 1280x720", "latency fp32 1280x720",
    "session fp32 640x480", "parity fp32 640x480", "latency fp32 640x480", "quality fp32",
    "soak latency", "soak memory", "soak throttling",
]  # fmt: skip
ENGINES = [name.replace("session", "engine") for name in NAMES]
LATENCIES = [name for name in NAMES if name.startswith("latency")]

CPU = "onnxruntime-cpu"


def request(bundle, backend="onnxruntime-cpu", filter=None, **changes):
    choice = SessionChoice(backend=backend, filter=filter)
    values = {"frames": 10, "soak_seconds": 0.2} | changes
    return AcceptRequest(str(bundle), choice, **values)


def states(report):
    return {clause.name: clause.state for clause in report.clauses}


def test_the_command_leaves_one_json_and_one_page(quick, tiny_bundle, tmp_path, run_mgdn):
    folder = tmp_path / "new" / "board-7"
    words = ("--backend", "onnxruntime-cpu", "--soak", "0.2", "--frames", "10", "--out", folder)
    done = run_mgdn("accept", tiny_bundle, *words)
    assert done.code == 0, done.err
    verdict, where = done.out.splitlines()
    assert verdict.startswith("ACCEPTED: tiny on onnxruntime-cpu; all 13 needed clauses passed, ")
    assert str(folder / "accept.json") in where and "soak latency" in done.err
    assert sorted(path.name for path in folder.iterdir()) == ["accept.html", "accept.json"]
    report = json.loads((folder / "accept.json").read_bytes())
    assert report["accepted"] and report["complete"] and report["verdict"] == verdict
    assert [clause["name"] for clause in report["clauses"]] == NAMES
    assert {timing["size"] for timing in report["timings"]} == {"640x480", "640x512", "1280x720"}
    for timing in report["timings"]:
        whole, alone = timing["with_copies"], timing["without_copies"]
        assert whole["n"] == alone["n"] == 10 and 0 < alone["p50"] <= whole["p50"]
    assert report["soak"]["frames"] > 0 and report["fidelity"][0]["refusals"] == []
    page = (folder / "accept.html").read_text()
    assert page.index(verdict.replace(" ms", "\u00a0ms")) < page.index("Clauses")
    assert "hidden" in page and "type this" in page  # the doctor's warning and its fix
    again = run_mgdn("accept", tiny_bundle, *words)
    assert again.code == 2 and "accept.json exists; pass --overwrite" in again.err


def test_a_picture_too_far_off_is_not_accepted_and_the_rest_is_measured(
    quick, export_folder, tmp_path, monkeypatch, run_mgdn
):
    fuse = OnnxRuntimeSession.fuse
    with monkeypatch.context() as patch:
        patch.setattr(
            bundle_writer.OnnxRuntimeSession,
            "fuse",
            lambda self, *planes: np.clip(fuse(self, *planes).astype(int) + 5, 0, 255).astype(
                np.uint8
            ),
        )
        create_bundle(export_folder, tmp_path / "off.mgdn")
    words = ("--backend", "onnxruntime-cpu", "--soak", "0.2", "--frames", "10", "--json")
    done = run_mgdn("accept", tmp_path / "off.mgdn", *words, "--out", tmp_path / "out")
    assert done.code == 1
    report = json.loads(done.out)
    assert (
        "parity fp32 640x512 failed: up to 5 levels off the golden pair, 1 allowed"
        in report["verdict"]
    )
    found = {clause["name"]: clause["state"] for clause in report["clauses"]}
    assert [name for name in NAMES if found[name] == "failed"] == [
        "parity fp32 640x512", "parity fp32 1280x720", "parity fp32 640x480",
    ]  # fmt: skip
    assert len(report["timings"]) == 3 and report["soak"]["frames"] > 0


def test_a_clause_that_breaks_does_not_end_the_others(quick, tiny_bundle, monkeypatch):
    def broken(session, subject, frames, advance):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(accept, "measure_timing", broken)
    report = accept_bundle(request(tiny_bundle), lambda kept: None)
    failed = [name for name, state in states(report).items() if state == "failed"]
    assert failed == LATENCIES and report.exit_code == 1
    assert "ZeroDivisionError: division by zero" in report.verdict
    assert report.fidelity and report.soak.frames > 0


def test_a_missing_package_is_not_measured(quick, tiny_bundle, monkeypatch):
    def missing(*arguments):
        raise ModuleNotFoundError("No module named 'scipy'")

    monkeypatch.setattr(accept, "measure_fidelity", missing)
    report = accept_bundle(request(tiny_bundle), lambda kept: None)
    assert states(report)["quality fp32"] == "not measured" and not report.accepted
    assert "No module named 'scipy'; see: mgdn doctor" in report.verdict


def test_what_blocks_the_doctor_is_not_accepted(quick, tiny_bundle, monkeypatch):
    blocked = DoctorReport(
        False, (Finding("av", "blocks", "av is not installed", "pip install av"),)
    )
    monkeypatch.setattr(accept, "examine_machine", lambda: blocked)
    report = accept_bundle(request(tiny_bundle), lambda kept: None)
    assert states(report)["machine"] == "failed" and report.exit_code == 1
    assert "av is not installed; fix: pip install av" in report.verdict


def test_no_soak_is_not_accepted(quick, tiny_bundle):
    report = accept_bundle(request(tiny_bundle, soak_seconds=0.0), lambda kept: None)
    assert states(report)["soak latency"] == "not measured" and not report.accepted


@pytest.mark.parametrize("at", ["machine", "latency fp32 640x480", "soak"])
def test_ctrl_c_keeps_what_is_measured(quick, tiny_bundle, monkeypatch, at):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    progress = Told(lambda: interrupt() if progress.steps[-1][0] == at else None)
    if at == "machine":
        monkeypatch.setattr(accept, "examine_machine", interrupt)
    kept = []
    report = accept_bundle(request(tiny_bundle, soak_seconds=60.0), kept.append, progress=progress)
    assert not report.complete and not report.accepted
    assert report.verdict.startswith("NOT ACCEPTED: tiny on onnxruntime-cpu; incomplete")
    found = states(report)
    assert list(found) == NAMES and kept[-1].report == report
    reached = {"machine": 0, "latency fp32 640x480": 10, "soak": 12}[at]
    assert [found[name] for name in NAMES[:reached]] == ["passed"] * reached
    assert {found[name] for name in NAMES[reached:]} == {"not measured"}
    if at == "soak":
        assert report.soak.frames == 1 and len(kept[-1].soak_ns) == 1


def test_the_command_interrupted_ends_with_130(quick, tiny_bundle, tmp_path, monkeypatch, run_mgdn):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(accept, "examine_machine", interrupt)
    done = run_mgdn(
        "accept", tiny_bundle, "--backend", "onnxruntime-cpu", "--out", tmp_path / "out"
    )
    assert done.code == 130 and "incomplete, interrupted" in done.out
    assert json.loads((tmp_path / "out" / "accept.json").read_bytes())["complete"] is False
    assert "incomplete" in (tmp_path / "out" / "accept.html").read_text()


def test_everything_is_kept_after_every_clause(quick, tiny_bundle):
    seen = []
    accept_bundle(request(tiny_bundle), lambda kept: seen.append(len(kept.report.clauses)))
    assert seen[0] == 0 and set(seen) == set(range(16)) and seen == sorted(seen)


@pytest.fixture
def board(monkeypatch, tmp_path):
    """An Orin whose TensorRT is the stand-in; its engines are computed by the CPU."""
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    monkeypatch.setenv("MGDN_STANDIN", "dynamic")
    monkeypatch.setenv("MGDN_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(STANDIN))
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "builder_standin")
    monkeypatch.setattr(engine_plan, "read_device", lambda: ORIN)
    monkeypatch.setattr(engine_session, "free_memory", lambda integrated: PLENTY)


@pytest.fixture
def computed_here(board, tiny_bundle, monkeypatch):
    def start(engine, tensorrt):
        with open_bundle(tiny_bundle) as bundle:
            model = bundle.read(bundle.variant("dynamic").file)
            return OnnxRuntimeSession(model, spec=bundle.manifest.spec, variant="dynamic")

    monkeypatch.setattr(variant_engine, "start_engine", start)


def test_engines_are_built_compared_and_kept(quick, computed_here, tiny_bundle):
    said = []
    report = accept_bundle(
        request(tiny_bundle, backend="tensorrt"), lambda _: None, progress=Told(said=said)
    )
    assert report.accepted, report.verdict
    assert [clause.name for clause in report.clauses] == ENGINES
    assert {row.reference for row in report.parity} == {"CPU"}  # engines of the dynamic variant
    built = [sentence for sentence in said if sentence.startswith("building an engine")]
    assert len(built) == 3
    # The plugin library is not asked for: this network has no filter.
    assert report.clauses[1].needed is False
    said.clear()
    again = accept_bundle(
        request(tiny_bundle, backend="tensorrt"), lambda _: None, progress=Told(said=said)
    )
    assert again.accepted and not [each for each in said if each.startswith("building")]
    assert any("cached" in clause.description for clause in again.clauses)


def test_a_board_without_memory_is_a_device_failure_with_the_rest_reported(
    quick, computed_here, tiny_bundle, monkeypatch
):
    none = msgspec.structs.replace(PLENTY, host=lambda: 0)
    monkeypatch.setattr(engine_session, "free_memory", lambda integrated: none)
    report = accept_bundle(request(tiny_bundle, backend="tensorrt"), lambda kept: None)
    found = states(report)
    assert report.exit_code == 3 and found["machine"] == "passed"
    assert "could use up the memory" in report.verdict
    assert found["engine fp32 640x480"] == "failed"
    assert found["quality fp32"] == found["soak memory"] == "not measured"
    assert report.clauses[-1].description == "needs engine fp32 640x480"


def test_the_default_network_needs_its_plugin_on_tensorrt(quick, board, monkeypatch):
    def refuse(tensorrt):
        raise filter_library.TensorrtPluginError("there is no mgdn_tensorrt.so; build it")

    monkeypatch.setattr(filter_library, "load_plugin", refuse)
    monkeypatch.setattr(engine_plan, "check_plugin", lambda: refuse(None))
    report = accept_bundle(request("mgdn-edge", backend="tensorrt"), lambda kept: None)
    plugin = report.clauses[1]
    assert (plugin.state, plugin.needed, plugin.device_failure) == ("failed", True, True)
    assert "there is no mgdn_tensorrt.so" in report.verdict and report.exit_code == 3


def test_without_the_plugin_asked_for_none_is_needed(quick, board, monkeypatch):
    def refuse(tensorrt):
        raise filter_library.TensorrtPluginError("there is no mgdn_tensorrt.so; build it")

    monkeypatch.setattr(filter_library, "load_plugin", refuse)
    monkeypatch.setattr(engine_session, "obtain_engine", lambda plan, cache, **options: 1 / 0)
    planned = request("mgdn-edge", backend="tensorrt", filter="body")
    report = accept_bundle(planned, lambda kept: None)
    plugin, opening = report.clauses[1:3]
    assert (plugin.state, plugin.needed) == ("not measured", False)
    assert plugin.description == "not used: --filter body asks for standard operators"
    assert "ZeroDivisionError" in opening.description  # planned without the plugin


def test_without_tensorrt_the_acceptance_is_a_device_failure(quick, tiny_bundle, monkeypatch):
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "no_such_tensorrt")
    report = accept_bundle(request(tiny_bundle, backend="tensorrt"), lambda kept: None)
    assert report.exit_code == 3 and states(report)["machine"] == "passed"
    assert "it comes with JetPack" in report.verdict


def test_without_a_gpu_the_command_says_how_to_use_the_cpu(tmp_path, monkeypatch, run_mgdn):
    def none():
        raise DeviceError("no NVIDIA driver here")

    monkeypatch.setattr(backend_table, "read_device", none)
    monkeypatch.chdir(tmp_path)
    done = run_mgdn("accept")
    assert (done.code, done.out) == (3, "")
    assert "no NVIDIA driver here; to accept the bundle on the CPU instead" in done.err
    assert list(tmp_path.iterdir()) == []


def test_with_a_gpu_tensorrt_is_the_default(monkeypatch):
    monkeypatch.setattr(backend_table, "read_device", lambda: ORIN)
    assert choose_backend(SessionChoice()) == "tensorrt"
    assert choose_backend(SessionChoice(backend="onnxruntime-cuda")) == "onnxruntime-cuda"


@pytest.mark.parametrize(
    "choice", [{"variant": "640x480"}, {"precision": "int8"}, {"fallback": "onnxruntime-cpu"}]
)
def test_what_an_acceptance_decides_itself_is_refused(choice):
    choice = SessionChoice(backend="onnxruntime-cpu", **choice)
    with pytest.raises(UserError, match="tries every precision the bundle holds"):
        accept_bundle(AcceptRequest("mgdn-edge", choice), lambda kept: None)


def test_a_folder_that_cannot_be_made_ends_it_before_anything_is_measured(
    quick, tiny_bundle, tmp_path, run_mgdn
):
    (tmp_path / "file").write_text("")
    words = ("--backend", "onnxruntime-cpu", "--out", tmp_path / "file" / "out")
    done = run_mgdn("accept", tiny_bundle, *words)
    assert done.code == 2 and "give another --out" in done.err and "machine" not in done.err


def test_an_acceptance_is_replaced_only_when_told_so(quick, tiny_bundle, tmp_path, run_mgdn):
    report = tmp_path / "accept.json"
    report.write_text("theirs")
    words = (
        "accept",
        tiny_bundle,
        "--backend",
        "onnxruntime-cpu",
        "--soak",
        "0.2",
        "--frames",
        "10",
    )
    done = run_mgdn(*words, "--out", tmp_path)
    assert done.code == 2 and "accept.json exists; pass --overwrite" in done.err
    assert report.read_text() == "theirs" and "machine" not in done.err
    assert run_mgdn(*words, "--out", tmp_path, "-y").code == 0
    assert json.loads(report.read_bytes())["complete"]


def test_the_verdict_is_told_though_the_disk_filled_up(
    quick, tiny_bundle, tmp_path, monkeypatch, run_mgdn, fill_disk
):
    def examine(examine_before=accept.examine_machine):
        fill_disk(".json", ".html")
        return examine_before()

    monkeypatch.setattr(accept, "examine_machine", examine)
    words = (
        "--backend",
        "onnxruntime-cpu",
        "--soak",
        "0.2",
        "--frames",
        "10",
        "--out",
        tmp_path / "out",
    )
    done = run_mgdn("accept", tiny_bundle, *words)
    assert done.code == 4 and "No space left" in done.err
    assert done.out.startswith("ACCEPTED: tiny") and "to send back" not in done.out
    kept = json.loads((tmp_path / "out" / "accept.json").read_bytes())
    assert not kept["complete"] and kept["clauses"] == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "accept.html", "accept.json",
    ]  # fmt: skip
