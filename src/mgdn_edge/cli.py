"""The ``mgdn`` command: parses, calls one public function, prints errors as one line."""

import importlib
import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Any, NoReturn

import typer

from mgdn_edge import __version__
from mgdn_edge.runtime.errors import EXIT_CODES, INTERRUPTED, UserError, printable
from mgdn_edge.runtime.secrets.redaction import redact, remember_secrets

# Each module holds thin commands and imports nothing heavy at its top, so --help is instant.
COMMAND_MODULES = (
    "mgdn_edge.runtime.commands.fuse",
    "mgdn_edge.runtime.commands.sync",
    "mgdn_edge.runtime.commands.temperature",
    "mgdn_edge.runtime.commands.cameras",
    "mgdn_edge.runtime.commands.bench",
    "mgdn_edge.runtime.commands.profile",
    "mgdn_edge.runtime.commands.demo",
    "mgdn_edge.runtime.commands.evaluate",
    "mgdn_edge.runtime.commands.align",
    "mgdn_edge.export.commands",
    "mgdn_edge.calibration.commands",
    "mgdn_edge.runtime.commands.bundle",
    "mgdn_edge.runtime.commands.build",
    "mgdn_edge.runtime.commands.cache",
    "mgdn_edge.runtime.commands.doctor",
    "mgdn_edge.runtime.commands.accept",
)

# click keeps the lines of a paragraph that begins with a backspace.
EPILOG = "Exit codes:\n\n\b\n" + "\n".join(f"{code:5}  {text}" for code, text in EXIT_CODES.items())

# typer 0.26 and later carry their own copy of click, older ones import it: the class all usage
# errors share is reached through one that every version exports.
UsageError: Any = typer.BadParameter.__mro__[1]


def build_app() -> typer.Typer:
    """The command tree; importing every command module here costs milliseconds."""
    app = typer.Typer(
        name="mgdn",
        help="Infrared-visible fusion: export, bundle, run, measure.",
        epilog=EPILOG,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(global_options)
    for name in COMMAND_MODULES:
        importlib.import_module(name).register(app)
    return app


def print_version(*, wanted: bool) -> None:
    """Print it at once: no command need follow."""
    if wanted:
        typer.echo(f"mgdn {__version__}")
        raise typer.Exit


def global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            help="Print the version.",
            callback=lambda value: print_version(wanted=value),
            is_eager=True,
        ),
    ] = False,
) -> None:
    """What may come before a command's name."""


def main() -> None:
    """Entry point: wrong words and UserError become one line on stderr and an exit code."""
    words = sys.argv[1:]
    open_standard_streams()
    remember_secrets(*words)
    try:
        app = build_app()
        code = app(words or ["--help"], prog_name="mgdn", standalone_mode=False)
    except UserError as error:
        _fail(error.told(options_of(app, words)), error.exit_code)
    except UsageError as error:
        _fail(usage_sentence(error, words, command_of(app, words)), UserError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(INTERRUPTED) from None
    finally:
        sys.excepthook = print_fault  # not before: typer sets one of its own
    raise SystemExit(code if isinstance(code, int) else 0)


def open_standard_streams() -> None:
    """Open those that are closed on /dev/null: else the next file opened is number 1 or 2.

    What a library prints would then be written into a recording.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if name == "stdin" else "w"))  # noqa: SIM115, PTH123
        if name != "stdin":
            # A name the terminal's encoding lacks, or that is not UTF-8, is shown as an escape: a
            # run must not end in a traceback after the work.
            getattr(sys, name).reconfigure(errors="backslashreplace")


def print_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """An unexpected error: its traceback, without the passwords its text may quote."""
    import traceback

    text = "".join(traceback.format_exception(kind, error, trace))
    print(redact(text), end="", file=sys.stderr)


def usage_sentence(error: typer.BadParameter, words: Sequence[str], command: str) -> str:
    """A usage error of typer's -> what was got, what was wanted and what to type."""
    refused, option = getattr(error, "message", ""), getattr(error, "param", None)
    name, value = given_option(getattr(option, "opts", ()), words)
    wrong = f"{name} {value}: {refused}" if name else error.format_message()
    wrong = wrong.strip().rstrip(".").replace("Value error, ", "")
    return f"{wrong[0].lower()}{wrong[1:]}; see: {command} --help"


def given_option(names: Sequence[str], words: Sequence[str]) -> tuple[str, str]:
    """(name, value) as typed, two empty strings where none of ``names`` was."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names and name.startswith("-"):
            return name, value if equals else following
    return "", ""


def command_of(app: typer.Typer, words: Sequence[str]) -> str:
    """The words before the first that names no command: the one whose help is needed."""
    found: list[str] = ["mgdn"]
    commands = getattr(typer.main.get_command(app), "commands", {})
    for word in words:
        if word not in commands:
            break
        found.append(word)
        commands = getattr(commands[word], "commands", {})
    return " ".join(found)


def options_of(app: typer.Typer, words: Sequence[str]) -> set[str]:
    """The options of the command that ``words`` call."""
    command: Any = typer.main.get_command(app)
    for word in command_of(app, words).split()[1:]:
        command = command.commands[word]
    return {name for each in command.params for name in each.opts if name.startswith("--")}


def _fail(sentence: str, exit_code: int) -> NoReturn:
    print(f"mgdn: error: {printable(sentence)}", file=sys.stderr)
    raise SystemExit(exit_code) from None
