"""The command line as it is parsed: what commands there are, and words parsed without a run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import typer

from mgdn_edge.cli import UsageError, build_app


class Option(NamedTuple):
    """An option: whether it takes a value, and the values it may have, none: any."""

    takes_value: bool
    values: tuple[str, ...]


@functools.cache
def command_tree() -> Any:
    """The root command."""
    return typer.main.get_command(build_app())


def options_of(command: Any) -> dict[str, Option]:
    """Name -> Option of one command, ``--help`` too."""
    found = {"--help": Option(False, ())}
    for each in command.params:
        option = Option(not getattr(each, "is_flag", False), _values(each))
        found |= {name: option for name in each.opts if name.startswith("-")}
    return found


def _values(parameter: Any) -> tuple[str, ...]:
    """The words it may have. Before typer 0.26 they are click's choices, then those of a type."""
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(each.value) for each in kind)
    return tuple(map(str, getattr(getattr(parameter, "type", None), "choices", ())))


@functools.cache
def all_commands() -> dict[str, dict[str, Option]]:
    """Command -> its options: "fuse", "bundle create", ..."""
    found = {}

    def walk(name: str, command: Any) -> None:
        found[name] = options_of(command)
        for word, each in getattr(command, "commands", {}).items():
            walk(f"{name} {word}".strip(), each)

    walk("", command_tree())
    return found


def parse_words(words: Sequence[str]) -> None:
    """The words after ``mgdn`` as the real command line takes them; nothing is run.

    AssertionError, with the command line's own sentence, for words it refuses.
    """
    command, left = _called(words)
    told = f"mgdn {' '.join(words)}"
    try:
        with command.make_context("mgdn", left) as context:
            # Of a group: what would name its command, under click's names for it, old and new.
            more = getattr(context, "_protected_args", getattr(context, "protected_args", []))
    except UsageError as error:
        raise AssertionError(f"{told}: {error.format_message()}") from None
    assert not more, f"{told}: no such command"


def options_of_words(words: Sequence[str]) -> dict[str, Option]:
    """The options of the command that the words after ``mgdn`` call."""
    return options_of(_called(words)[0])


def _called(words: Sequence[str]) -> tuple[Any, list[str]]:
    """The command that words name, and the words left for it."""
    command, left = command_tree(), list(words)
    while left and left[0] in getattr(command, "commands", {}):
        command = command.commands[left.pop(0)]
    return command, left
