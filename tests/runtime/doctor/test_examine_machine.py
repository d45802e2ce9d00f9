import shutil
import sys
from pathlib import Path

import pytest
from support.engine_samples import ORIN

from mgdn_edge.plugins import native
from mgdn_edge.runtime.bundle import network_names
from mgdn_edge.runtime.doctor import examine_machine
from mgdn_edge.runtime.doctor.doctor_report import Finding
from mgdn_edge.runtime.doctor.examine_machine import DEPENDENCIES
from mgdn_edge.runtime.doctor.installation import Installation, package_version
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.machine.device import Device


def no_gpu():
    raise DeviceError("no NVIDIA driver here")


def findings(root="/", versions=None, device=no_gpu):
    """Findings by name; ``versions`` of distributions that are pretended, empty for not there."""
    named = versions or {}
    here = Installation(
        root=Path(root),
        package=lambda name: named.get(name, package_version(name)),
        device=device,
    )
    return {finding.name: finding for finding in examine_machine.examine_machine(here).findings}


def test_dependencies_are_those_of_the_package(repository):
    names = set()
    inside = False
    for line in (repository / "pyproject.toml").read_text().splitlines():
        if inside and line == "]":
            break
        elsewhere = "python_version<'3.11'" in line and sys.version_info >= (3, 11)
        if inside and not elsewhere:
            names.add(line.strip(' ",').split(">=")[0])
        inside = inside or line == "dependencies = ["
    assert names == set(DEPENDENCIES)


def test_every_finding_that_is_not_ok_says_what_to_type():
    for finding in examine_machine.examine_machine().findings:
        assert finding.found
        assert finding.state == "ok" or finding.fix


CARD = Device("NVIDIA H200", "9.0", 132, False, "580.0", "13.0", "", "")


@pytest.mark.parametrize(
    ("device", "extra"),
    [(no_gpu, "cpu"), (lambda: CARD, "gpu"), (lambda: ORIN, "cpu")],
    ids=["no GPU", "card", "board"],
)
@pytest.mark.parametrize("version", ["", "1.31.1"], ids=["none", "both"])
def test_no_backend_and_two_block_and_name_the_extra(device, extra, version):
    both = dict.fromkeys(("onnxruntime", "onnxruntime-gpu"), version)
    finding = findings(versions=both, device=device)["backend"]
    assert finding.state == "blocks"
    assert finding.fix.endswith(f"pip install 'mgdn-edge[{extra}]'")
    assert finding.fix.startswith("pip uninstall -y onnxruntime onnxruntime-gpu") == bool(version)


def test_both_opencv_builds_are_a_warning():
    both = {"opencv-python": "4.10", "opencv-python-headless": "4.10"}
    finding = findings(versions=both)["opencv"]
    assert finding.state == "warning" and finding.fix.endswith("install opencv-python-headless")


@pytest.mark.parametrize(("full", "state"), [("4.10", "ok"), ("", "blocks")])
def test_the_full_opencv_build_serves_as_well(full, state):
    found = findings(versions={"opencv-python": full, "opencv-python-headless": ""})
    if state == "ok":
        assert "opencv-python 4.10" in found["dependencies"].found
        assert "opencv-python-headless" not in found
    else:
        assert found["opencv-python-headless"].state == "blocks"


def test_a_module_that_does_not_import_blocks_with_its_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    finding = findings()["opencv-python-headless"]
    assert finding.state == "blocks"
    assert "does not import" in finding.found


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("flags\t\t: fpu sse avx2 avx512f", "avx2, avx512f"),
        ("Features\t: fp asimd asimddp", "asimd, asimddp"),
        ("", "no SIMD flags"),
    ],
)
def test_simd_flags_of_both_architectures_are_read(tmp_path, line, flags):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert flags in findings(tmp_path)["processor"].found


@pytest.mark.native
def test_the_native_library_is_named_with_what_it_uses():
    finding = findings()["native library"]
    assert finding.state == "ok"
    assert native.LIBRARY_NAME in finding.found
    assert native.best_implementation().name in finding.found


@pytest.mark.native
@pytest.mark.parametrize(
    ("architectures", "words"),
    [((), "no CUDA kernel"), (("87-real", "75-virtual"), "CUDA kernel for 87-real, 75-virtual")],
)
def test_the_native_library_says_whether_cuda_is_in_it(monkeypatch, architectures, words):
    monkeypatch.setattr(examine_machine, "cuda_architectures", lambda: architectures)
    finding = findings()["native library"]
    assert finding.state == "ok"
    assert finding.found.endswith(f"; {words}")


def test_a_missing_native_library_is_a_warning(monkeypatch):
    monkeypatch.setattr(examine_machine, "find_library", lambda: None)
    finding = findings()["native library"]
    assert finding.state == "warning"
    assert "function body" in finding.found
    assert "pip install" in finding.fix


def test_a_native_library_that_does_not_load_blocks(monkeypatch, tmp_path):
    broken = tmp_path / native.LIBRARY_NAME
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(examine_machine, "find_library", lambda: broken)
    monkeypatch.setattr(native, "find_library", lambda: broken)
    assert findings()["native library"].state == "blocks"


def test_a_missing_default_network_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(network_names, "PACKAGED_FOLDER", tmp_path)
    report = examine_machine.examine_machine()
    assert not report.usable
    assert {finding.name: finding.state for finding in report.findings}["network mgdn-edge"] == (
        "blocks"
    )


@pytest.mark.export
def test_packaged_networks_are_verified(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(network_names, "PACKAGED_FOLDER", tmp_path)
    shutil.copyfile(tiny_bundle, tmp_path / "mgdn-edge.mgdn")
    assert examine_machine.examine_machine().usable
    (tmp_path / "mgdn-edge.mgdn").write_bytes(tiny_bundle.read_bytes()[:-1])
    finding = findings()["network mgdn-edge"]
    assert finding.state == "blocks"
    assert finding.fix


def test_ceilings_are_measured_only_when_asked_for(monkeypatch, run_mgdn):
    from mgdn_edge.runtime.measure import measure_ceilings

    found = measure_ceilings.Ceilings(2, 40.0, 200.0, 128)
    monkeypatch.setattr(measure_ceilings, "measure_ceilings", lambda: found)
    assert "40.0 GB/s" in run_mgdn("doctor", "--ceilings").out
    assert "GB/s" not in run_mgdn("doctor").out
    assert '"gflops":200.0' in run_mgdn("doctor", "--ceilings", "--json").out


def test_the_terminal_shows_names_in_a_column_and_what_to_fix(monkeypatch, run_mgdn):
    findings = (
        Finding("python", "ok", "3.10"),
        Finding("engine cache", "warning", "3 broken", "mgdn cache gc"),
        Finding("av", "blocks", "not installed", "pip install av"),
    )
    monkeypatch.setattr(
        examine_machine, "examine_machine", lambda: examine_machine.DoctorReport(False, findings)
    )
    done = run_mgdn("doctor")
    assert done.code == 1
    assert done.out.splitlines() == [
        "ok       python        3.10",
        "warning  engine cache  3 broken",
        "                       fix: mgdn cache gc",
        "blocks   av            not installed",
        "                       fix: pip install av",
        "",
        "not usable before this is fixed: av; worth fixing: engine cache",
    ]


def test_a_terminal_has_long_findings_wrapped_under_themselves(monkeypatch, run_mgdn):
    words = " ".join(["word"] * 40)
    findings = (Finding("python", "ok", words),)
    monkeypatch.setattr(
        examine_machine, "examine_machine", lambda: examine_machine.DoctorReport(True, findings)
    )
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    lines = run_mgdn("doctor").out.splitlines()[:-2]
    assert len(lines) > 3 and all(len(line) <= 60 for line in lines)
    assert all(line.startswith(" " * 17 + "word") for line in lines[1:])
