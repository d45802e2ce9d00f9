import shutil
import sys

import pytest

from mgdn_edge.plugins import native, tensorrt_plugin
from mgdn_edge.runtime import doctor, networks
from mgdn_edge.runtime.doctor import DEPENDENCIES, examine_machine


def findings(root="/"):
    from pathlib import Path

    return {finding.name: finding for finding in examine_machine(Path(root)).findings}


@pytest.fixture
def pretend_versions(monkeypatch):
    """Pretend these distributions are installed (version) or not (empty)."""
    real = doctor._version

    def pretend(**versions):
        named = {name.replace("_", "-"): value for name, value in versions.items()}
        monkeypatch.setattr(doctor, "_version", lambda name: named.get(name, real(name)))

    return pretend


def test_dependencies_are_those_of_the_package(repository):
    names = set()
    inside = False
    for line in (repository / "pyproject.toml").read_text().splitlines():
        if inside and line == "]":
            break
        if inside:
            names.add(line.strip(' ",').split(">=")[0])
        inside = inside or line == "dependencies = ["
    assert names == set(DEPENDENCIES)


def test_every_finding_that_is_not_ok_says_what_to_type():
    for finding in examine_machine().findings:
        assert finding.found
        assert finding.state == "ok" or finding.fix


def test_no_backend_blocks_and_names_the_extra(pretend_versions):
    pretend_versions(onnxruntime="", onnxruntime_gpu="")
    finding = findings()["backend"]
    assert (finding.state, finding.fix) == ("blocks", "pip install 'mgdn-edge[cpu]'")


def test_both_backends_clash(pretend_versions):
    pretend_versions(onnxruntime="1.31.1", onnxruntime_gpu="1.31.1")
    finding = findings()["backend"]
    assert finding.state == "blocks"
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in finding.fix


def test_both_opencv_builds_are_a_warning(pretend_versions):
    pretend_versions(opencv_python="4.10", opencv_python_headless="4.10")
    assert findings()["opencv"].state == "warning"


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


def jetson(root):
    (root / "etc").mkdir()
    (root / "proc" / "device-tree").mkdir(parents=True)
    (root / "etc" / "nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 1\n")
    (root / "proc" / "device-tree" / "model").write_text("NVIDIA Jetson Orin Nano\0")


@pytest.mark.parametrize(("setting", "warned"), [("false", True), ("true", False)])
def test_a_jetson_venv_that_hides_tensorrt_is_explained(tmp_path, monkeypatch, setting, warned):
    jetson(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text(f"include-system-site-packages = {setting}\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    found = findings(tmp_path)
    assert "Orin Nano R36" in found["board"].found
    assert ("environment" in found) == warned
    if warned:
        assert "--system-site-packages" in found["environment"].fix


def test_another_machine_is_no_jetson(tmp_path):
    assert "board" not in findings(tmp_path)


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
    monkeypatch.setattr(doctor, "cuda_architectures", lambda: architectures)
    finding = findings()["native library"]
    assert finding.state == "ok"
    assert finding.found.endswith(f"; {words}")


def test_a_missing_native_library_is_a_warning(monkeypatch):
    monkeypatch.setattr(doctor, "find_library", lambda: None)
    finding = findings()["native library"]
    assert finding.state == "warning"
    assert "function body" in finding.found
    assert "pip install" in finding.fix


def test_a_native_library_that_does_not_load_blocks(monkeypatch, tmp_path):
    broken = tmp_path / native.LIBRARY_NAME
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(doctor, "find_library", lambda: broken)
    monkeypatch.setattr(native, "find_library", lambda: broken)
    assert findings()["native library"].state == "blocks"


def test_a_missing_default_network_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "PACKAGED_FOLDER", tmp_path)
    report = examine_machine()
    assert not report.usable
    assert {finding.name: finding.state for finding in report.findings}["network mgdn-edge"] == (
        "blocks"
    )


@pytest.mark.export
def test_packaged_networks_are_verified(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "PACKAGED_FOLDER", tmp_path)
    shutil.copyfile(tiny_bundle, tmp_path / "mgdn-edge.mgdn")
    assert examine_machine().usable
    (tmp_path / "mgdn-edge.mgdn").write_bytes(tiny_bundle.read_bytes()[:-1])
    finding = findings()["network mgdn-edge"]
    assert finding.state == "blocks"
    assert finding.fix


@pytest.fixture
def pretend_tensorrt(monkeypatch):
    """Pretend the module tensorrt is, or is not, there."""
    real = doctor.importlib.util.find_spec

    def pretend(present):
        def find(name):
            return present or None if name == "tensorrt" else real(name)

        monkeypatch.setattr(doctor.importlib.util, "find_spec", find)

    return pretend


@pytest.mark.parametrize(("present", "state"), [(False, "ok"), (True, "warning")])
def test_a_missing_tensorrt_plugin_matters_where_tensorrt_is(
    monkeypatch, pretend_tensorrt, present, state
):
    pretend_tensorrt(present)
    monkeypatch.setattr(doctor, "find_plugin", lambda: None)
    finding = findings()["tensorrt plugin"]
    assert finding.state == state
    assert finding.fix == (tensorrt_plugin.BUILD_COMMAND if present else None)


def test_a_tensorrt_plugin_without_its_digest_is_a_warning(monkeypatch, tmp_path):
    broken = tmp_path / tensorrt_plugin.LIBRARY_NAME
    broken.write_bytes(b"not a library")
    for module in (doctor, tensorrt_plugin):
        monkeypatch.setattr(module, "find_plugin", lambda: broken)
    finding = findings()["tensorrt plugin"]
    assert finding.state == "warning"
    assert str(broken) in finding.found
    assert "pip install" in finding.fix


@pytest.mark.parametrize(
    ("installed", "state"), [("", "ok"), ("10.3.0", "ok"), ("11.4.0.106", "warning")]
)
def test_a_tensorrt_plugin_of_another_major_is_a_warning(
    monkeypatch, pretend_versions, tmp_path, installed, state
):
    pretend_versions(tensorrt=installed)
    plugin = tensorrt_plugin.TensorrtPlugin(tmp_path / "mgdn_tensorrt.so", "ab" * 32, 10)
    monkeypatch.setattr(doctor, "find_plugin", lambda: plugin.path)
    monkeypatch.setattr(doctor, "check_plugin", lambda: plugin)
    finding = findings()["tensorrt plugin"]
    assert finding.state == state
    assert "mgdn_tensorrt.so, for TensorRT 10, sha256 abababababab" in finding.found


def test_ceilings_are_measured_only_when_asked_for(monkeypatch, run_mgdn):
    from mgdn_edge.runtime.machine import ceilings

    found = ceilings.Ceilings(2, 40.0, 200.0, 128)
    monkeypatch.setattr(ceilings, "measure_ceilings", lambda: found)
    assert "40.0 GB/s" in run_mgdn("doctor", "--ceilings").out
    assert "GB/s" not in run_mgdn("doctor").out
    assert '"gflops":200.0' in run_mgdn("doctor", "--ceilings", "--json").out
