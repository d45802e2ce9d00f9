"""The commands and code of README.md and docs/: they run as they stand, or are at least parsed.

``sh`` and ``python`` blocks of a page run in order, in a folder with the recordings that the pages
speak of. Those that need weights, data, a board or much memory say so behind the word, and their
commands are parsed by the real command line.
"""

import ast
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import typer

from mgdn_edge.cli import build_app
from mgdn_edge.runtime.capture.sources import open_visible
from mgdn_edge.runtime.errors import EXIT_CODES
from mgdn_edge.runtime.stream import demo
from mgdn_edge.runtime.synthetic import open_rig

CLIP_FRAMES = 12
WEIGHTS = "62000_E.safetensors"
REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])
RUN = ("sh", "python")
# What typer writes is made of the commands themselves.
PARSED = ("sh install", "sh demo", "sh data", "sh board", "sh benchmarks", "sh published")
OTHER = ("python board", "python signature", "console", "")
# A test asks that every page with something to run is here: it says what its commands leave.
LEAVES = {
    "README.md": ("out/demo.mp4", "fused.mp4", "from_python.mp4", "clock.json", "synced.mp4"),
    "CAMERAS.md": ("clock.json", "synced.mp4", "loop.mp4", "counts.mkv"),
    "NETWORKS.md": ("edge.mgdn", "edge/export.json"),
    "USING.md": ("fused.mp4", "fused.png", "live.mp4", "report.html", "trace.json", "street.mp4"),
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """(info string, code) of every fenced block."""
    return re.findall(r"^```([^\n`]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def code_of(page: Path, *kinds: str) -> str:
    """The blocks whose info string is one of ``kinds``, in order."""
    return "".join(code for kind, code in blocks(page) if kind in kinds)


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
    """A folder with the recordings the pages speak of."""
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


def test_every_block_runs_or_says_why_not() -> None:
    for page in PAGES:
        strange = {kind for kind, _ in blocks(page)} - {*RUN, *PARSED, *OTHER}
        assert strange == set(), page.name
    assert {page.name for page in PAGES if code_of(page, *RUN)} == set(LEAVES)


@pytest.mark.export
@pytest.mark.slow
@pytest.mark.parametrize("name", LEAVES)
def test_every_command_runs(recordings: Path, name: str) -> None:
    (page,) = (page for page in PAGES if page.name == name)
    commands = code_of(page, "sh")
    assert commands.count("mgdn ") >= 4
    run(["bash", "-euo", "pipefail", "-c", commands], recordings)
    if code := code_of(page, "python"):
        run([sys.executable, "-c", f"{code}\nassert fused.shape == (480, 640)"], recordings)
    for left in LEAVES[name]:
        assert (recordings / left).stat().st_size > 0
    if name == "USING.md":
        frames = [path.name for path in (recordings / "fused").iterdir()]
        assert sorted(frames) == ["scene0.png", "scene1.png"]


def commands_in(script: str) -> Iterator[list[str]]:
    """The words of each ``mgdn`` command of a shell script: no variables, no pipes."""
    joined = script.replace("\\\n", " ")
    for line in joined.splitlines():
        for part in re.split(r"&&|;", line):
            words = shlex.split(part, comments=True)
            if words[:1] == ["mgdn"]:
                yield words[1:]


def parse(words: list[str]) -> None:
    """Give the real command line a command whose work is left out; its usage errors are raised."""
    command = typer.main.get_command(build_app())
    leave_out_work(command)
    command.main(words, prog_name="mgdn", standalone_mode=False)


def leave_out_work(command: Any) -> None:
    command.callback = lambda **_: None
    for inner in getattr(command, "commands", {}).values():
        leave_out_work(inner)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_is_parsed(page: Path) -> None:
    for words in commands_in(code_of(page, *PARSED)):
        parse(words)


def test_something_is_parsed_and_what_is_wrong_is_found() -> None:
    found = [words for page in PAGES for words in commands_in(code_of(page, *PARSED))]
    assert len(found) >= 20
    for wrong in (
        ["fuse", "vi.mp4", "ir.mp4"],
        ["bench", "--native"],
        ["cache", "wy", "mgdn-edge"],
    ):
        with pytest.raises(typer.BadParameter.__mro__[1]):
            parse(wrong)


def test_python_that_is_not_run_imports_what_there_is() -> None:
    found = 0
    for page in PAGES:
        tree = ast.parse(code_of(page, "python board"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mgdn_edge"):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), page.name
                found += 1
    assert found >= 2


def test_named_targets_exist(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    pages = [*PAGES, repository / "CONTRIBUTING.md", repository / "CHANGELOG.md"]
    named = {
        target
        for page in pages
        for target in re.findall(r"(?:`|^)make ([a-z][\w-]*)", page.read_text(), re.MULTILINE)
    }
    assert {"demo", "test", "docs"} <= named
    assert [t for t in named if not re.search(rf"^{t}:", makefile, re.MULTILINE)] == []


def test_the_first_two_targets_are_demo_and_test() -> None:
    block = code_of(REPOSITORY / "README.md", "sh demo")
    assert re.findall(r"^make (\w+)", block, re.MULTILINE) == ["demo", "test"]


def test_every_exit_code_is_told_as_the_help_does(repository: Path) -> None:
    text = (repository / "docs" / "USING.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE)
    assert {int(code) for code, _ in rows} == set(EXIT_CODES)
    for code, told in rows:
        assert told.startswith(EXIT_CODES[int(code)])


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
    commands = code_of(repository / "docs" / "NETWORKS.md", "sh published")
    run(["bash", "-euo", "pipefail", "-c", commands], tmp_path)
    with (
        open_visible(str(tmp_path / "fused_mff.mp4")) as fused,
        open_visible(str(clip / "vi.mp4")) as visible,
    ):
        assert fused.info.frames == 8
        assert fused.info.size == visible.info.size == (480, 640)
        for ours, theirs in zip(fused.frames(), visible.frames(), strict=False):
            assert ours.pts_ns == theirs.pts_ns
