"""What our sentences tell people to type exists: the option, the command and the value."""

import ast
import re
from pathlib import Path

import pytest
from support.command_tree import all_commands

from mgdn_edge.runtime.errors import OPTION, OTHER_COMMAND, UserError, named_options

FOLDERS = ("export", "calibration", "runtime", "plugins")
HOLE = "{}"
# Options of pip, venv, docker and apt, which our sentences name too.
OTHERS = {
    "--force-reinstall", "--no-deps", "--only-binary", "--upgrade", "--reinstall",
    "--system-site-packages", "--runtime", "--gpus",
}  # fmt: skip
# Words that may follow an option of fixed values without being one.
PROSE = {"both", "is"}


def sentences(path: Path) -> list[str]:
    """Every string of a file but docstrings, with {} where a value is put in."""
    tree = ast.parse(path.read_text())
    passed_over: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed_over |= set(ast.walk(node)) - {node}
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            passed_over.add(body[0].value)
    found = []
    for node in ast.walk(tree):
        if node in passed_over:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = (getattr(part, "value", None) for part in node.values)
            found.append("".join(part if isinstance(part, str) else HOLE for part in parts))
    return found


def faults(sentence: str) -> list[str]:
    """What of a sentence cannot be typed."""
    commands = all_commands()
    wrong = check_options(re.sub(OTHER_COMMAND, "", sentence), list(commands))
    for piece in re.findall(OTHER_COMMAND, sentence):
        words = re.findall(r"[a-z]+", piece.split("--")[0])
        name = next((n for n in (" ".join(words[:2]), words[0]) if n in commands), None)
        if name is None and "--" in piece:
            wrong.append(f"mgdn {words[0]}")
        elif name is not None:
            wrong += check_options(piece, [name])
    return wrong


def check_options(text: str, names: list[str]) -> list[str]:
    wrong = []
    for match in re.finditer(OPTION, text):
        name, after = match.group(), text[match.end() :]
        owners = [all_commands()[each][name] for each in names if name in all_commands()[each]]
        value = re.match(r"[= ](\{\}|[\w.-]+)", after)
        if not owners:
            wrong += [] if name in OTHERS else [name]
        elif not any(option.takes_value for option in owners):
            if value and (after[0] == "=" or re.match(r"\{\}|\d|[A-Z]", value[1])):
                wrong.append(f"{name} {value[1]}")
        elif value and re.fullmatch(r"[a-z-]+", value[1]) and value[1] not in PROSE:
            kinds = [option.values for option in owners]
            if all(kinds) and not any(value[1] in kind for kind in kinds):
                wrong.append(f"{name} {value[1]}")
    return wrong


@pytest.mark.parametrize("folder", FOLDERS)
def test_sentences_name_options_and_values_that_exist(repository: Path, folder: str) -> None:
    wrong = [
        f"{path.name}: {fault} in {sentence!r}"
        for path in sorted((repository / folder).rglob("*.py"))
        for sentence in sentences(path)
        for fault in faults(sentence)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [
        ("use --resize {}x{}", "--resize {}"),
        ("use --resize 640x480", "--resize 640x480"),
        ("use --shortest=yes", "--shortest yes"),
        ("pass --smallest", "--smallest"),
        ("pass --pace fast", "--pace fast"),
        ("run: mgdn align VISIBLE INFRARED RIG.toml --pace none", "--pace"),
        ("run: mgdn alien --frames 3", "mgdn alien"),
    ],
)
def test_advice_nobody_can_type_is_found(sentence: str, fault: str) -> None:
    assert faults(sentence) == [fault]


def test_a_command_is_told_the_ways_it_has() -> None:
    error = UserError(
        "sizes differ",
        ways=("give one size", "--resize resizes", "or: mgdn fuse VISIBLE INFRARED OUT --resize"),
    )
    assert str(error) == error.told(all_commands()["fuse"])
    assert error.told(all_commands()["quantize"]) == (
        "sizes differ; give one size; or: mgdn fuse VISIBLE INFRARED OUT --resize"
    )


def test_passwords_are_in_no_part_of_an_error() -> None:
    error = UserError("rtsp://a:hunter2@cam failed", ways=("try rtsp://a:hunter2@cam --resize",))
    assert "hunter2" not in f"{error}{error.sentence}{error.ways}{error.told({'--resize'})}"
    assert named_options(error.ways[0]) == ["--resize"]
