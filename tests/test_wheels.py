"""Every runtime dependency has wheels for the oldest board: Python 3.10 on aarch64."""

import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

# JetPack 6 is Ubuntu 22.04 with glibc 2.35; pip wants every older platform tag spelled out.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(35, 16, -1)]


@pytest.mark.network
@pytest.mark.slow
def test_every_runtime_dependency_resolves_to_wheels_for_jetpack_6(
    repository: Path, tmp_path: Path
) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["cpu"]]
    platforms = [
        word for tag in (*PLATFORMS, "manylinux2014_aarch64") for word in ("--platform", tag)
    ]
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"),
        *("--only-binary=:all:", "--python-version", "3.10", "--implementation", "cp"),
        *("--abi", "cp310", "--abi", "abi3", "--abi", "none"),
        *platforms,
        *("--target", str(tmp_path), "--report", str(tmp_path / "report.json")),
        *wanted,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "report.json").stat().st_size > 1000


def test_runtime_dependencies_are_the_agreed_ones(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    names = {line.split(">")[0].split("=")[0] for line in project["dependencies"]}
    video = {"numpy", "scipy", "opencv-python-headless", "av"}
    assert names == video | {"typer", "rich", "msgspec", "jinja2", "tomli", "tomli-w"}
    extras = project["optional-dependencies"]
    assert [line.split(">")[0] for line in extras["cpu"]] == ["onnxruntime"]
    assert [line.split(">")[0] for line in extras["gpu"]] == [
        "onnxruntime-gpu",
        "cuda-bindings",
    ]
    assert {line.split(">")[0] for line in extras["jetson"]} == {"cuda-bindings"}


def test_the_lowest_versions_tested_are_those_stated(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    stated = [*project["dependencies"], *project["optional-dependencies"]["cpu"]]
    lines = (repository / "tests" / "constraints-lowest.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if not line.startswith("#"))
    for line in stated:
        name, _, lowest = line.partition(";")[0].strip().partition(">=")
        assert f"{tested.pop(name)}.".startswith(f"{lowest}."), line
    assert tested == {}
