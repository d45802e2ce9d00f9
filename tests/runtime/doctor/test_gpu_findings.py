"""What the doctor says of boards, drivers, TensorRT, the plugin and the cache: all pretended."""

import sys

import msgspec
import pytest
from support.engine_samples import KEY, ORIN, store_engine

from mgdn_edge.plugins import tensorrt_plugin
from mgdn_edge.runtime.doctor import gpu_findings
from mgdn_edge.runtime.doctor.gpu_findings import examine_gpu
from mgdn_edge.runtime.doctor.installation import Installation, module_version, package_version
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache
from mgdn_edge.runtime.machine.device import Device

CARD = Device("NVIDIA H200", "9.0", 132, False, "580.0", "13.0", "", "")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MGDN_CACHE", str(tmp_path / "cache"))
    return EngineCache(tmp_path / "cache")


def no_gpu():
    raise DeviceError("no NVIDIA driver here")


def examine(root, device=no_gpu, tensorrt=None, **more):
    """Findings by name; ``tensorrt`` is its version, an exception its import raises, or None."""

    def module(name):
        assert name == "tensorrt"
        if isinstance(tensorrt, Exception):
            raise tensorrt
        return tensorrt

    packages = more.pop("packages", {})
    here = Installation(
        root=root,
        package=lambda name: packages.get(name, ""),
        module=module,
        device=(lambda: device) if isinstance(device, Device) else device,
        **more,
    )
    return {finding.name: finding for finding in examine_gpu(here)}


@pytest.fixture
def board(tmp_path):
    """``board(release)``: the files of a Jetson below a folder."""

    def make(release="36 (release), REVISION: 4.3", packages=()):
        root = tmp_path / "board"
        (root / "etc").mkdir(parents=True)
        (root / "proc" / "device-tree").mkdir(parents=True)
        (root / "var/lib/dpkg").mkdir(parents=True)
        (root / "etc/nv_tegra_release").write_text(f"# R{release}, GCID: 1\n")
        (root / "proc/device-tree/model").write_text("NVIDIA Jetson Orin Nano\0")
        paragraphs = [
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n"
            for name, version in dict(packages).items()
        ]
        (root / "var/lib/dpkg/status").write_text("\n".join(paragraphs))
        return root

    return make


def system_tensorrt(root, python="python3.10"):
    folder = root / "usr/lib" / python / "dist-packages/tensorrt"
    folder.mkdir(parents=True)
    return folder


def test_a_machine_without_a_gpu_is_well(tmp_path):
    found = examine(tmp_path)
    assert {finding.state for finding in found.values()} == {"ok"}
    assert "board" not in found and "cuda" not in found
    assert found["gpu"].found == "none: the CPU fuses"


def test_a_board_with_everything_is_well(board, monkeypatch):
    monkeypatch.setattr(gpu_findings, "find_plugin", lambda: None)
    root = board(packages={"nvidia-jetpack": "6.2+b77"})
    found = examine(root, ORIN, "10.3.0", packages={"cuda-bindings": "12.9.1"})
    assert "Orin Nano, L4T 36.4.3, JetPack 6.2+b77" in found["board"].found
    assert "compute capability 8.7" in found["gpu"].found
    assert found["cuda"].found == "the driver runs CUDA up to 12.6, libcudart is 12.6"
    states = {name: finding.state for name, finding in found.items()}
    assert states.pop("tensorrt plugin") == "warning"  # which is not built here
    assert set(states.values()) == {"ok"}


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ("35 (release), REVISION: 4.1", "warning"),
        ("36 (release), REVISION: 3.0", "warning"),
        ("36 (release), REVISION: 4.0", "ok"),
        ("38 (release), REVISION: 2.0", "ok"),
    ],
)
def test_a_jetpack_before_tensorrt_10_is_too_old(board, release, state):
    finding = examine(board(release), ORIN)["board"]
    assert finding.state == state
    assert (finding.fix is not None) == (state == "warning")


@pytest.mark.parametrize("container", [False, True])
def test_a_board_that_shows_no_gpu_says_why(board, container):
    root = board()
    if container:
        (root / ".dockerenv").write_text("")
    finding = examine(root)["gpu"]
    assert finding.state == "warning" and "no NVIDIA driver" in finding.found
    assert ("--runtime nvidia" in finding.fix) == container


def test_a_card_without_a_driver_is_seen(tmp_path):
    for name, vendor, kind in (("0000:01:00.0", "0x10de", "0x030000"), ("b", "0x8086", "0x030000")):
        folder = tmp_path / "sys/bus/pci/devices" / name
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
    finding = examine(tmp_path)["gpu"]
    assert finding.state == "warning" and "0000:01:00.0" in finding.found
    assert "nvidia-smi" in finding.fix


@pytest.mark.parametrize(
    ("driver", "runtime", "state"),
    [
        ("12.6", "13.0", "warning"),
        ("12.6", "12.9", "ok"),
        ("13.0", "12.6", "ok"),
        ("13.0", "", "ok"),
    ],
)
def test_a_cuda_runtime_newer_than_its_driver_is_a_warning(tmp_path, driver, runtime, state):
    device = msgspec.structs.replace(CARD, cuda_driver=driver, cuda_runtime=runtime)
    finding = examine(tmp_path, device)["cuda"]
    assert finding.state == state
    if state == "warning":
        assert finding.fix == "sudo apt-get install -y cuda-toolkit-12-6"


@pytest.mark.parametrize(
    ("installed", "state", "fix"),
    [
        ("", "warning", "pip install 'cuda-bindings>=12.6.1,<13'"),
        ("13.0.1", "warning", "pip install 'cuda-bindings>=12.6.1,<13'"),
        ("12.6.2", "ok", None),
    ],
)
def test_cuda_bindings_belong_to_the_driver(tmp_path, installed, state, fix):
    finding = examine(tmp_path, ORIN, packages={"cuda-bindings": installed})["cuda-bindings"]
    assert (finding.state, finding.fix) == (state, fix)


@pytest.mark.parametrize(("setting", "hidden"), [("false", True), ("true", False)])
def test_a_venv_that_hides_jetpacks_tensorrt_is_explained(board, tmp_path, setting, hidden):
    root = board()
    folder = system_tensorrt(root)
    (tmp_path / "pyvenv.cfg").write_text(f"include-system-site-packages = {setting}\n")
    finding = examine(root, ORIN, prefix=tmp_path, python=(3, 10))["tensorrt"]
    assert finding.state == "warning" and str(folder) in finding.found
    wanted = f"{sys.executable} -m venv --system-site-packages --upgrade {tmp_path}"
    assert (finding.fix == wanted) == hidden
    assert ("this virtual environment hides" in finding.found) == hidden


def test_a_tensorrt_of_another_python_names_the_python(board, tmp_path):
    root = board()
    system_tensorrt(root)
    finding = examine(root, ORIN, prefix=tmp_path, python=(3, 12))["tensorrt"]
    assert finding.found == "it is installed for python3.10 and this is python3.12"
    assert finding.fix == "/usr/bin/python3.10 -m venv --system-site-packages .venv"


@pytest.mark.parametrize(
    ("packages", "fix"),
    [
        ({}, "sudo apt-get install -y nvidia-jetpack"),
        ({"libnvinfer10": "10.3.0"}, "sudo apt-get install -y python3-libnvinfer"),
    ],
)
def test_a_board_without_tensorrt_gets_the_package_that_is_missing(board, packages, fix):
    finding = examine(board(packages=packages), ORIN)["tensorrt"]
    assert (finding.state, finding.fix) == ("warning", fix)


def test_a_card_without_tensorrt_gets_the_wheel_of_its_driver(tmp_path):
    finding = examine(tmp_path, CARD)["tensorrt"]
    assert (finding.state, finding.fix) == ("warning", "pip install tensorrt-cu13")


def test_a_removed_package_is_not_installed(board):
    root = board()
    status = "Package: libnvinfer10\nStatus: deinstall ok config-files\nVersion: 10.3\n"
    (root / "var/lib/dpkg/status").write_text(status)
    assert Installation(root=root).system_package("libnvinfer10") == ""


def test_a_tensorrt_that_does_not_import_says_why(tmp_path):
    error = OSError("libnvinfer.so.10: cannot open shared object file")
    finding = examine(tmp_path, CARD, error)["tensorrt"]
    assert finding.state == "warning" and "libnvinfer.so.10" in finding.found and finding.fix


def test_an_old_tensorrt_is_a_warning(tmp_path):
    finding = examine(tmp_path, CARD, "8.6.2")["tensorrt"]
    assert finding.state == "warning" and "10.3 or newer" in finding.found


@pytest.mark.parametrize(("tensorrt", "state"), [(None, "ok"), ("10.3.0", "warning")])
def test_a_missing_plugin_matters_where_tensorrt_is(monkeypatch, tmp_path, tensorrt, state):
    monkeypatch.setattr(gpu_findings, "find_plugin", lambda: None)
    finding = examine(tmp_path, tensorrt=tensorrt)["tensorrt plugin"]
    assert finding.state == state
    assert finding.fix == (tensorrt_plugin.BUILD_COMMAND if tensorrt else None)


def test_a_plugin_without_its_digest_is_a_warning(monkeypatch, tmp_path):
    broken = tmp_path / tensorrt_plugin.LIBRARY_NAME
    broken.write_bytes(b"not a library")
    for module in (gpu_findings, tensorrt_plugin):
        monkeypatch.setattr(module, "find_plugin", lambda: broken)
    finding = examine(tmp_path)["tensorrt plugin"]
    assert finding.state == "warning"
    assert str(broken) in finding.found
    assert "pip install" in finding.fix


@pytest.mark.parametrize(
    ("installed", "state"), [(None, "ok"), ("10.3.0", "ok"), ("11.4.0.106", "warning")]
)
def test_a_plugin_of_another_major_is_a_warning(monkeypatch, tmp_path, installed, state):
    plugin = tensorrt_plugin.TensorrtPlugin(tmp_path / "mgdn_tensorrt.so", "ab" * 32, 10)
    monkeypatch.setattr(gpu_findings, "find_plugin", lambda: plugin.path)
    monkeypatch.setattr(gpu_findings, "check_plugin", lambda: plugin)
    finding = examine(tmp_path, tensorrt=installed)["tensorrt plugin"]
    assert finding.state == state
    assert "mgdn_tensorrt.so, ABI 1, for TensorRT 10, sha256 abababababab" in finding.found


def test_the_cache_says_what_it_holds(tmp_path, cache):
    assert "no engines in" in examine(tmp_path)["engine cache"].found
    store_engine(cache)
    other = msgspec.structs.replace(KEY, gpu="NVIDIA Thor")
    path = store_engine(cache, key=other)
    finding = examine(tmp_path, ORIN)["engine cache"]
    assert finding.state == "ok" and finding.found.startswith("2 engines, 0 MiB")
    assert finding.found.endswith("1 of another GPU")
    path.write_bytes(b"torn")
    finding = examine(tmp_path, ORIN)["engine cache"]
    assert (finding.state, finding.fix) == ("warning", "mgdn cache gc")
    assert "1 broken" in finding.found


def test_a_cache_open_to_everyone_is_a_warning(tmp_path, cache):
    store_engine(cache)
    cache.folder.chmod(0o777)
    finding = examine(tmp_path)["engine cache"]
    assert finding.state == "warning" and finding.fix.startswith(f"chmod o-w {cache.folder}")


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_findings.os, "access", lambda path, mode: False)
    finding = examine(tmp_path)["engine cache"]
    assert (finding.state, finding.fix) == ("warning", "export MGDN_CACHE=FOLDER")


def test_versions_are_those_of_packages_and_modules():
    assert package_version("msgspec") == msgspec.__version__ == module_version("msgspec")
    assert package_version("no-such-package") == "" and module_version("no_such_module") is None
