"""``--overwrite``: said, or asked for where somebody sits at a terminal."""

import sys

import pytest
import typer

from mgdn_edge.runtime.commands.options import may_overwrite


class Terminal:
    def __init__(self, is_one):
        self.isatty = lambda: is_one


@pytest.mark.parametrize(("stdin", "stderr"), [(0, 1), (1, 0), (None, 1), (1, None)])
def test_nobody_is_asked_without_a_terminal(monkeypatch, stdin, stderr):
    for name, is_one in (("stdin", stdin), ("stderr", stderr)):
        monkeypatch.setattr(sys, name, None if is_one is None else Terminal(bool(is_one)))
    assert may_overwrite(False) is False
    assert may_overwrite(True) is True


@pytest.mark.parametrize("answer", [True, False])
def test_a_terminal_is_asked_about_each_file(monkeypatch, tmp_path, answer):
    asked = []
    monkeypatch.setattr(sys, "stdin", Terminal(True))
    monkeypatch.setattr(sys, "stderr", Terminal(True))
    monkeypatch.setattr(typer, "confirm", lambda text, err: (asked.append(text), answer)[1])
    ask = may_overwrite(False)
    assert ask(tmp_path / "a\x1b.mp4") is answer
    assert ask(tmp_path) is answer
    assert asked == [
        f"{tmp_path}/a\\x1b.mp4 exists; replace it?",
        f"{tmp_path} is not empty; replace what mgdn wrote there?",
    ]
    assert may_overwrite(True) is True
