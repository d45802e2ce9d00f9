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
from pathlib import Path

import cv2
import pytest
from support.command_tree import parse_words

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


def shell_commands(code: str) -> list[list[str]]:
    """Shell lines -> the words of each command, without redirections."""
    commands: list[list[str]] = []
    for line in code.replace("\\\n", " ").splitlines():
        commands.append([])
        redirected = False
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for token in lexer:
            if set(token) <= set("();|&"):
                commands.append([])
            elif set(token) <= set("<>"):
                redirected = True
            elif redirected:
                redirected = False
            else:
                commands[-1].append(token)
    return [words for words in commands if words]


def test_every_command_printed_is_one_the_command_line_takes() -> None:
    printed = "".join(code_of(page, "sh", *PARSED) for page in PAGES)
    commands = shell_commands(printed)
    ours = [words[words.index("mgdn") + 1 :] for words in commands if "mgdn" in words]
    assert len(ours) >= 50
    for words in ours:
        parse_words(words)


@pytest.mark.parametrize(
    "words", ["fuse vi ir out --nope", "bench fliter", "align vi ir", "fuse vi ir out --pace fast"]
)
def test_a_command_nobody_can_type_is_refused(words: str) -> None:
    with pytest.raises(AssertionError, match="mgdn "):
        parse_words(words.split())


def test_shell_lines_are_read_as_a_shell_reads_them() -> None:
    code = "# why\nA=1 mgdn fuse 'a b' c \\\n  d --json > f.json && mgdn bench # after\n"
    code += "\nmgdn demo | tee x\n"
    assert shell_commands(code) == [
        ["A=1", "mgdn", "fuse", "a b", "c", "d", "--json"],
        ["mgdn", "bench"],
        ["mgdn", "demo"],
        ["tee", "x"],
    ]


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
