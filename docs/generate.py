"""Write docs/CLI.md, by typer's own generator, and docs/API.md, from the docstrings of the face.

    make docs
    python docs/generate.py --check [FOLDER]    # exit code 1 and the names where one is not current

CLI.md depends on typer's version: constraints.txt has the one that it is written with.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import typer
from typer.cli import get_docs_for_click

import mgdn_edge
from mgdn_edge.cli import build_app

PACKAGE = "mgdn_edge"
WRITTEN = "<!-- Written by `make docs`; edit the docstrings and options that it is made of. -->\n\n"
API_HEAD = """# Python

`from mgdn_edge import ...` offers the names of the first part, and they stay
([COMPATIBILITY.md](COMPATIBILITY.md)). The second part is what they take and give; its modules are
named, and may change their places. Sizes are (height, width) in pixels.

## The names that stay
"""
GIVEN_HEAD = "## What they take and give\n"
LONGEST_LINE = 96  # of a signature; longer ones get a line for each parameter


def write_cli() -> str:
    """The command line, every option."""
    command = typer.main.get_command(build_app())
    context = typer.Context(command, info_name="mgdn")
    text = get_docs_for_click(obj=command, ctx=context, name="mgdn", title="Command line")
    text = text.replace("\b\n", "")
    # Examples are paragraphs in the help, because its lines would be joined; here they are code.
    examples = re.compile(r"(?:^  mgdn .*\n+)+", re.MULTILINE)

    def as_code(found: re.Match[str]) -> str:
        lines = [line.strip() for line in found[0].splitlines() if line]
        return "\n".join(["```console", *(f"$ {line}" for line in lines), "```", "", ""])

    text = examples.sub(as_code, text)
    return WRITTEN + re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def write_api() -> str:
    """The public face: its names in order, then what they take and give."""
    face = [getattr(mgdn_edge, name) for name in mgdn_edge.__all__]
    parts = [API_HEAD]
    parts += [describe(thing) for thing in face]
    parts.append(GIVEN_HEAD)
    parts += [describe(kind, of=kind.__module__) for kind in reachable(face)]
    return WRITTEN + re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def reachable(face: list[Any]) -> list[type]:
    """Our classes in what ``face`` holds and returns, without those of ``face``, by name."""
    found: dict[str, type] = {}
    waiting = [*face]
    while waiting:
        for hint in hints_of(waiting.pop()):
            for kind in classes_in(hint):
                if kind.__module__.startswith(PACKAGE) and kind not in (*face, *found.values()):
                    found[kind.__name__] = kind
                    waiting.append(kind)
    return [found[name] for name in sorted(found)]


def hints_of(thing: Any) -> Iterator[Any]:  # noqa: ANN401 - functions and classes
    """What a function returns; a class's fields and what its public methods return."""
    functions = [thing]
    if inspect.isclass(thing):
        yield from typing.get_type_hints(thing).values()
        functions = [member for _, member in members(thing) if inspect.isfunction(member)]
    for function in functions:
        yield typing.get_type_hints(function).get("return")


def classes_in(hint: Any) -> Iterator[type]:  # noqa: ANN401 - annotations are anything
    """The classes an annotation is made of."""
    if inspect.isclass(hint) and not isinstance(hint, types.GenericAlias):
        yield hint
    for part in (typing.get_origin(hint), *typing.get_args(hint)):
        if part is not None and part is not hint:
            yield from classes_in(part)


def describe(thing: Any, of: str = "") -> str:  # noqa: ANN401 - functions and classes
    """Heading, signature, docstring; of a class its public methods too."""
    title = f"### {thing.__name__}\n"
    source = f"\n`{of}`\n" if of else ""
    lines = [title, source, code(signature(thing)), prose(thing)]
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        lines += [describe_member(f"{thing.__name__}.{n}", member) for n, member in members(thing)]
    return "".join(lines)


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties with a docstring of our own, as they stand in the source."""
    for name, member in vars(kind).items():
        function = member.fget if isinstance(member, property) else member
        function = getattr(function, "__func__", function)
        if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
            yield name, member


def describe_member(name: str, member: Any) -> str:  # noqa: ANN401 - functions and properties
    """A method's signature and docstring; a property's type."""
    if isinstance(member, property):
        returns = inspect.signature(member.fget).return_annotation
        return f"\n`{name}: {plain(returns)}`: {first_words(member)}\n"
    function = getattr(member, "__func__", member)
    return f"\n{code(signature(function, name))}{prose(function)}"


def first_words(thing: Any) -> str:  # noqa: ANN401 - anything with a docstring
    """The docstring with single backticks."""
    return " ".join((inspect.getdoc(thing) or "").replace("``", "`").split())


def signature(thing: Any, name: str = "") -> str:  # noqa: ANN401 - functions and classes
    """``name(parameters) -> result`` as the source has it; of a struct its fields."""
    if inspect.isclass(thing) and not is_struct(thing):
        base = f"({thing.__bases__[0].__name__})" if issubclass(thing, BaseException) else ""
        return f"class {thing.__name__}{base}"
    found = inspect.signature(thing)
    fields = annotations_of(thing) if inspect.isclass(thing) else {}
    parameters = []
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not fields and "*" not in parameters:
            parameters.append("*")
        text = f"{parameter.name}: {fields.get(parameter.name) or plain(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {default(parameter.default)}"
        parameters.append(text)
    head = f"class {thing.__name__}" if fields else name or thing.__name__
    end = "" if fields else f" -> {plain(found.return_annotation)}"
    line = f"{head}({', '.join(parameters)}){end}"
    if len(line) <= LONGEST_LINE:
        return line
    return "\n".join([f"{head}(", *(f"    {text}," for text in parameters), f"){end}"])


def annotations_of(kind: type) -> dict[str, str]:
    """A struct's fields -> their types as its source writes them."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        ast.unparse(line.target): ast.unparse(line.annotation)
        for line in tree.body
        if isinstance(line, ast.AnnAssign)
    }


def is_struct(thing: Any) -> bool:  # noqa: ANN401 - functions and classes
    """Whether its parameters are its fields."""
    is_data = dataclasses.is_dataclass(thing)
    return inspect.isclass(thing) and (is_data or issubclass(thing, msgspec.Struct))


def plain(annotation: Any) -> str:  # noqa: ANN401 - annotations are anything
    """An annotation as its source writes it."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:mgdn_edge|typing|collections\.abc|pathlib)(?:\.\w+)*\.(\w+)", r"\1", text)


def default(value: Any) -> str:  # noqa: ANN401 - defaults are anything
    """A default as a reader would write it: structs without their own defaults."""
    if is_struct(type(value)):
        return f"{type(value).__name__}()"
    if inspect.isfunction(value) or "factory" in repr(value):
        return "..."
    return repr(value)


def code(text: str) -> str:
    """A block of Python that nobody runs."""
    return f"\n```python signature\n{text}\n```\n"


def prose(thing: Any) -> str:  # noqa: ANN401 - functions and classes
    """The docstring as paragraphs."""
    text = (inspect.getdoc(thing) or "").replace("``", "`").strip()
    return f"\n{text}\n" if text else ""


GENERATED = {"CLI.md": write_cli, "API.md": write_api}


def main(words: list[str]) -> int:
    """Write both, or with ``--check`` compare them: the exit code."""
    check = "--check" in words
    folders = [Path(word) for word in words if word != "--check"]
    folder = folders[0] if folders else Path(__file__).parent
    stale = 0
    for name, write in GENERATED.items():
        path, text = folder / name, write()
        if not check:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            print(f"{path} is not current; run: make docs")
            stale = 1
    return stale


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
