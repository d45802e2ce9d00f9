"""NVIDIA's own parser and builder read what we write: TensorRT-RTX, ahead of time, no GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.export, pytest.mark.rtx]

SCRIPT = Path(__file__).parent / "rtx_build.py"
TIMEOUT_S = 300


def build(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.mark.parametrize("name", ["640x480", "640x512"])
def test_the_edge_graph_builds(edge_export: Path, name: str) -> None:
    result = build(edge_export / "models" / f"{name}.onnx")
    assert result.returncode == 0, result.stderr
    layers, size = map(int, result.stdout.split()[-2:])
    assert layers > 100 and size > 100_000


@pytest.mark.data
def test_the_published_graph_builds(mff_export: Path) -> None:
    result = build(mff_export / "models" / "80x64.onnx")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-2]) > 10_000


def test_a_damaged_graph_is_reported(edge_export: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes((edge_export / "models" / "640x480.onnx").read_bytes()[:5000])
    assert build(damaged).returncode != 0
