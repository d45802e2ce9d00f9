"""The README's commands and code run as they stand, in order, in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from mgdn_edge.runtime import demo
from mgdn_edge.runtime.errors import EXIT_CODES
from mgdn_edge.runtime.sources import open_visible
from mgdn_edge.runtime.synthetic import open_rig

CLIP_FRAMES = 12
WEIGHTS = "62000_E.safetensors"


def blocks(repository: Path, kind: str) -> list[str]:
    """Code of every README block whose info string is exactly ``kind``."""
    text = (repository / "README.md").read_text()
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(script: list[str], folder: Path) -> str:
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        script, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{script}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with the recordings the README speaks of."""
    rig = open_rig(demo.SCENE)
    pictures = {
        "vi": lambda number: demo.visible_picture(rig.visible(number)),
        "ir": lambda number: demo.infrared_picture(rig.infrared(number)),
    }
    for stream, draw in pictures.items():
        demo.write_clip(tmp_path / f"{stream}.mp4", (draw(n) for n in range(CLIP_FRAMES)))
        (tmp_path / stream).mkdir()
        for number in range(2):
            assert cv2.imwrite(str(tmp_path / stream / f"scene{number}.png"), draw(number))
        assert cv2.imwrite(str(tmp_path / f"{stream}.png"), draw(0))
    return tmp_path


@pytest.mark.export
@pytest.mark.slow
def test_every_command_runs(repository: Path, recordings: Path) -> None:
    commands = "".join(blocks(repository, "sh"))
    assert commands.count("mgdn ") >= 10
    run(["bash", "-euo", "pipefail", "-c", commands], recordings)
    for name in ("fused.mp4", "fused.png", "live.mp4", "edge.mgdn", "edge/export.json"):
        assert (recordings / name).stat().st_size > 0
    assert sorted(p.name for p in (recordings / "fused").iterdir()) == ["scene0.png", "scene1.png"]


@pytest.mark.slow
def test_the_camera_page_runs(repository: Path, recordings: Path) -> None:
    commands = "".join(blocks(repository, "sh cameras"))
    assert commands.count("mgdn ") >= 6
    run(["bash", "-euo", "pipefail", "-c", commands], recordings)
    for name in ("clock.json", "synced.mp4", "loop.mp4", "counts.mkv"):
        assert (recordings / name).stat().st_size > 0


def test_the_code_runs(repository: Path, tmp_path: Path) -> None:
    (code,) = blocks(repository, "python")
    run([sys.executable, "-c", code + "\nassert fused.shape == (480, 640)"], tmp_path)


def test_the_readme_says_every_exit_code_as_the_help_does(repository: Path) -> None:
    rows = re.findall(
        r"^\| (\d+) \| (.*) \|$", (repository / "README.md").read_text(), re.MULTILINE
    )
    assert {int(code) for code, _ in rows} == set(EXIT_CODES)
    for code, told in rows:
        assert told.startswith(EXIT_CODES[int(code)])


def test_the_first_two_commands_are_targets(repository: Path) -> None:
    (block,) = blocks(repository, "sh demo")
    targets = re.findall(r"^make (\w+)", block, re.MULTILINE)
    assert targets == ["demo", "test"]
    makefile = (repository / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


@pytest.mark.data
@pytest.mark.export
@pytest.mark.slow
def test_official_weights_become_fused_real_video(
    repository: Path, shared: Path, tmp_path: Path
) -> None:
    clip = shared / "data" / "sequences" / "0113_1714_mp4"
    for stream in ("vi", "ir"):
        shutil.copy(clip / f"{stream}.mp4", tmp_path)
    shutil.copy(shared / "golden" / "mgdn" / WEIGHTS, tmp_path)
    run(["bash", "-euo", "pipefail", "-c", "".join(blocks(repository, "sh published"))], tmp_path)
    with (
        open_visible(str(tmp_path / "fused_mff.mp4")) as fused,
        open_visible(str(clip / "vi.mp4")) as visible,
    ):
        assert fused.info.frames == 8
        assert fused.info.size == visible.info.size == (480, 640)
        for ours, theirs in zip(fused.frames(), visible.frames(), strict=False):
            assert ours.pts_ns == theirs.pts_ns
