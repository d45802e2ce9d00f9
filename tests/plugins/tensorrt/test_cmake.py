"""Where the plugin cannot be built, configuring goes on without it, or says what is missing."""

import os
import subprocess

import pytest

pytestmark = pytest.mark.tensorrt_headers

NO_NVCC = {"CUDACXX": "/nowhere/nvcc"}
VERSIONS = {
    "8.6": "#define NV_TENSORRT_MAJOR 8 //!< TensorRT major version.\n",
    "10.3": "#define NV_TENSORRT_MAJOR 10 //!< TensorRT major version.\n",
    "10.16": "#define TRT_MAJOR_ENTERPRISE 10\n#define NV_TENSORRT_MAJOR TRT_MAJOR_ENTERPRISE\n",
    "of another form": "#define NV_TENSORRT_MAJOR SOMETHING\n",
}


def configure(repository, folder, *options, version=None, environment=None):
    """(whether it went on, what was said in one line)."""
    headers = folder / "headers"
    headers.mkdir()
    if version:
        (headers / "NvInferVersion.h").write_text(VERSIONS[version])
    result = subprocess.run(
        [
            *("cmake", "-S", repository, "-B", folder / "build"),
            *(f"-DTENSORRT_INCLUDE_DIR={headers}", *options),
        ],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode == 0, " ".join((result.stdout + result.stderr).split())


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (None, "for want of TensorRT's headers: apt install libnvinfer-headers-dev"),
        ("8.6", "NvInferVersion.h says '8', JetPack 6.1 brings 10.3"),
        ("of another form", "NvInferVersion.h says ''"),
    ],
)
def test_without_new_enough_headers_there_is_no_plugin(repository, tmp_path, version, words):
    done, said = configure(repository, tmp_path, version=version)
    assert done, said
    assert words in said


@pytest.mark.parametrize("version", ["10.3", "10.16"])
def test_without_nvcc_there_is_no_plugin(repository, tmp_path, version):
    done, said = configure(repository, tmp_path, version=version, environment=NO_NVCC)
    assert done, said
    assert "for want of the CUDA kernel (MGDN_CUDA is AUTO): export PATH=/usr/local/cuda" in said


def test_the_kernels_own_option_goes_before(repository, tmp_path):
    options = ("-DMGDN_TENSORRT=ON", "-DMGDN_CUDA=OFF")
    done, said = configure(repository, tmp_path, *options, version="10.3")
    assert not done
    assert "for want of the CUDA kernel (MGDN_CUDA is OFF)" in said


def test_what_is_demanded_is_not_left_out(repository, tmp_path):
    done, said = configure(repository, tmp_path, "-DMGDN_TENSORRT=ON")
    assert not done
    assert "MGDN_TENSORRT is ON, but no plugin for want of TensorRT's headers" in said


def test_off_asks_for_nothing(repository, tmp_path):
    done, said = configure(repository, tmp_path, "-DMGDN_TENSORRT=OFF", version="8.6")
    assert done, said
    assert "want of" not in said
