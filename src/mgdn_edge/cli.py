"""The ``mgdn`` command: parses, calls one public function, prints errors as one line."""

import importlib
import sys

import typer

from mgdn_edge.runtime.errors import UserError

# Each module holds thin commands and imports nothing heavy at its top, so --help is instant.
COMMAND_MODULES = (
    "mgdn_edge.runtime.commands.fuse",
    "mgdn_edge.runtime.commands.bench",
    "mgdn_edge.runtime.commands.demo",
    "mgdn_edge.runtime.commands.evaluate",
    "mgdn_edge.export.commands",
    "mgdn_edge.runtime.commands.bundle",
    "mgdn_edge.runtime.commands.doctor",
)

USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130  # 128 + SIGINT, the shell's convention


def build_app() -> typer.Typer:
    """The command tree; importing every command module here costs milliseconds."""
    app = typer.Typer(
        name="mgdn",
        help="Infrared-visible fusion: export, bundle, run, measure.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name in COMMAND_MODULES:
        importlib.import_module(name).register(app)
    return app


def main() -> None:
    """Entry point: UserError becomes one line on stderr and exit code 2."""
    try:
        build_app()()
    except UserError as error:
        message = " ".join(str(error).split())
        print(f"mgdn: error: {message}", file=sys.stderr)
        raise SystemExit(USAGE_EXIT_CODE) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED_EXIT_CODE) from None
