"""What CMake makes of the CUDA compiler it finds, or does not."""

import subprocess

import pytest

pytestmark = [pytest.mark.cmake, pytest.mark.compiler]


@pytest.fixture
def configure(repository, tmp_path):
    def run(*options):
        command = ["cmake", "-S", str(repository), "-B", str(tmp_path / "build"), *options]
        return subprocess.run(command, capture_output=True, text=True)

    return run


@pytest.fixture(params=["says nothing", "says its version, compiles nothing"])
def broken_nvcc(request, tmp_path):
    """A compiler as an installation leaves it whose host compiler is too new, or half removed."""
    path = tmp_path / "nvcc"
    answer = 'case "$*" in *--version*) echo "Cuda compilation tools, release 12.6"; exit 0;; esac'
    path.write_text(f"#!/bin/sh\n{answer if 'version' in request.param else ''}\nexit 1\n")
    path.chmod(0o755)
    return path


def test_a_broken_nvcc_does_not_stop_a_cpu_build(configure, broken_nvcc):
    result = configure(f"-DCMAKE_CUDA_COMPILER={broken_nvcc}")
    assert result.returncode == 0, result.stderr
    assert "no CUDA kernel (MGDN_CUDA=AUTO)" in result.stdout


def test_cuda_asked_for_without_a_compiler_stops_and_says_what_to_do(configure, broken_nvcc):
    result = configure("-DMGDN_CUDA=ON", f"-DCMAKE_CUDA_COMPILER={broken_nvcc}")
    assert result.returncode != 0
    text = " ".join(result.stderr.split())
    assert "no nvcc works here; install CUDA's compiler, pass -DCMAKE_CUDA_COMPILER=" in text


def test_cuda_can_be_left_out(configure):
    result = configure("-DMGDN_CUDA=OFF")
    assert result.returncode == 0, result.stderr
    assert "no CUDA kernel (MGDN_CUDA=OFF)" in result.stdout


@pytest.mark.nvcc
def test_architectures_are_those_asked_for_also_when_configured_again(configure):
    for _ in range(2):
        result = configure("-DMGDN_CUDA_ARCHITECTURES=87-real;80-virtual")
        assert result.returncode == 0, result.stderr
        assert "CUDA kernel for 87-real;80-virtual by nvcc" in result.stdout
