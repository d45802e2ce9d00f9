"""NVIDIA's own plugin registries, of two majors, load the library and make the plugin."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mgdn_edge.plugins import native
from mgdn_edge.plugins.tensorrt_plugin import check_plugin

pytestmark = pytest.mark.lean

SCRIPT = Path(__file__).with_name("lean_registry.py")
HEADERS_MAJOR = 10  # of tests/requirements-tensorrt-headers.txt
MAJORS = [10, 11]
NAMES = ["DynamicFilter", "1", [["kernel_size", "INT32"], ["upscale", "INT32"]]]
INTERFACES = ["PLUGIN", "PLUGIN_V3ONE_CORE", "PLUGIN_V3ONE_BUILD", "PLUGIN_V3ONE_RUNTIME"]
REFUSALS = [
    "kernel_size is 4; 3, 5 or 7 is needed",
    "upscale is 3; 1, 2 or 4 is needed",
    "field kernel_size has type 5 and length 2; one kINT32 (5) is needed",
    "field kernel_size has type 10 and length 1; one kINT32 (5) is needed",
    "field kernel_size has type 1 and length 1; one kINT32 (5) is needed",
    "field kernel_size is missing; 3, 5 or 7 is needed",
    'field "group" is unknown; kernel_size and upscale are all there are',
]


def ask_registry(folder, *words):
    """(what it answered, what was logged)."""
    command = [sys.executable, SCRIPT, folder, *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.returncode}: {result.stderr[-3000:]}"
    return json.loads(result.stdout), result.stderr


@pytest.fixture(scope="session")
def kernel_library(repository, tensorrt_root, nvcc, tmp_path_factory):
    """The library as a board builds it, the CUDA kernel inside; this machine needs no driver."""
    build = tmp_path_factory.mktemp("kernel")
    options = [
        "-DMGDN_TENSORRT=ON",
        "-DMGDN_WARNINGS_AS_ERRORS=ON",
        f"-DCMAKE_CUDA_COMPILER={nvcc}",
        f"-DTENSORRT_INCLUDE_DIR={tensorrt_root}/headers/kernel_lens/include/tensorrt",
    ]
    for words in (
        ["-S", repository, "-B", build, *options],
        ["--build", build, "--target", "mgdn_tensorrt"],
    ):
        result = subprocess.run(["cmake", *words], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return build / "mgdn_tensorrt.so"


@pytest.fixture(scope="session", params=["double", pytest.param("kernel", marks=pytest.mark.nvcc)])
def library(request):
    if request.param == "kernel":
        return request.getfixturevalue("kernel_library")
    return request.getfixturevalue("tensorrt_harness").build("mgdn_tensorrt.so")


# No package has headers of 11, so 11's registry is given the library built with 10's: the plugin's
# interfaces are the same in both. ILoggerFinder is not, and asking 11's for a logger happens to
# give none, so sentences go to stderr; load_plugin refuses the pair, and docs/LOG.md has the rest.
@pytest.fixture(scope="module", params=MAJORS)
def answer(request, library, tensorrt_root):
    found, log = ask_registry(tensorrt_root / f"lean-{request.param}", library)
    assert found["version"].startswith(f"{request.param}.")
    return found, log


def test_the_registry_has_the_creator_only_while_the_library_is_loaded(answer):
    found, _ = answer
    assert found["before"] is None
    assert found["loaded"] and not found["again"]
    assert found["after"] is None
    assert found["reloaded"] == NAMES
    assert found["other_version"] is None


@pytest.mark.parametrize("namespace", ["mgdn", ""])
def test_plugins_are_made_for_building_and_running(answer, namespace):
    creator = answer[0]["creators"][namespace]
    assert creator["names"] == NAMES
    made = [*creator["made"], *creator["default"]]
    assert len(made) == 4
    for plugin in made:
        assert plugin["interfaces"] == [[kind, 1] for kind in INTERFACES]
        assert plugin["languages"] == ["CPP"]
        assert plugin["names"] == ["DynamicFilter", "1", namespace]


def test_wrong_fields_make_no_plugin_and_one_sentence(answer):
    found, log = answer
    refused = [made for creator in found["creators"].values() for made in creator["refused"]]
    assert refused == [None] * 2 * 2 * len(REFUSALS)
    lines = [line.partition("mgdn.DynamicFilter: ")[2] for line in log.splitlines()]
    assert [line for line in lines if line] == REFUSALS * 4


@pytest.mark.native
@pytest.mark.parametrize("major", MAJORS)
def test_a_library_without_creators_is_not_taken(tensorrt_root, major):
    found, _ = ask_registry(tensorrt_root / f"lean-{major}", native.find_library())
    assert not found["loaded"]


@pytest.mark.nvcc
def test_the_build_records_the_digest_that_is_checked(kernel_library):
    plugin = check_plugin(kernel_library)
    assert plugin.sha256 == hashlib.sha256(kernel_library.read_bytes()).hexdigest()
    assert plugin.tensorrt_major == HEADERS_MAJOR


def test_load_plugin_registers_it_once(tensorrt_root, library):
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    found, _ = ask_registry(tensorrt_root / f"lean-{HEADERS_MAJOR}", library, digest)
    assert found["same"] and found["path"] == str(library)
    assert found["made"]["interfaces"] == [[kind, 1] for kind in INTERFACES]


def test_load_plugin_refuses_another_major(tensorrt_root, library):
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    found, _ = ask_registry(tensorrt_root / f"lean-{HEADERS_MAJOR + 1}", library, digest)
    assert "was built with TensorRT 10's headers but 11." in found["error"]
    assert "pip install" in found["error"]
