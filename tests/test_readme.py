"""The README's commands and code run as they stand, in order, in an empty folder."""

import ast
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


def blocks(repository: Path, kind: str) -> list[str]:
    """Code of every README block whose info string is exactly ``kind``."""
    text = (repository / "README.md").read_text()
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def printed_blocks(repository: Path) -> list[tuple[str, str]]:
    """(info string, code) of every block in README.md and in the pages of docs/, the log aside."""
    pages = [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]
    texts = [page.read_text() for page in pages if page.name != "LOG.md"]
    return [
        block
        for text in texts
        for block in re.findall(r"^```([\w ]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


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


def test_every_command_printed_is_one_the_command_line_takes(repository: Path) -> None:
    commands = [
        words
        for kind, code in printed_blocks(repository)
        if kind.split()[0] == "sh"
        for words in shell_commands(code)
    ]
    ours = [words[words.index("mgdn") + 1 :] for words in commands if "mgdn" in words]
    assert len(ours) >= 20
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


def test_every_python_block_is_python(repository: Path) -> None:
    found = [code for kind, code in printed_blocks(repository) if kind.split()[0] == "python"]
    assert found
    for code in found:
        ast.parse(code)


def test_every_make_target_printed_exists(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    for kind, code in printed_blocks(repository):
        if kind.split()[0] == "sh":
            for words in shell_commands(code):
                for target in words[1:] if words[0] == "make" else ():
                    if "=" not in target:
                        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
