"""``mgdn doctor``: parses, calls examine_machine, prints its findings."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mgdn_edge.runtime.doctor.doctor_report import Finding

UNUSABLE_EXIT_CODE = 1
NARROWEST = 40  # characters for the text, however narrow the terminal


def register(app: typer.Typer) -> None:
    """Add ``mgdn doctor``."""
    app.command("doctor")(doctor_command)


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    ceilings: Annotated[
        bool, typer.Option("--ceilings", help="Also measure memory and arithmetic, 2 s.")
    ] = False,
) -> None:
    """List what is installed, what is missing and the command that fixes it; exit 1 if unusable."""
    import msgspec

    from mgdn_edge.runtime.doctor.examine_machine import examine_machine

    report = examine_machine()
    if ceilings:
        from mgdn_edge.runtime.measure.measure_ceilings import measure_ceilings

        report = msgspec.structs.replace(report, ceilings=measure_ceilings())
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        print_findings(report.findings)
        if report.ceilings is not None:
            typer.echo(f"ceilings: {report.ceilings.sentence()}")
    if not report.usable:
        raise typer.Exit(UNUSABLE_EXIT_CODE)


def print_findings(findings: Sequence[Finding]) -> None:
    """One paragraph for each finding, names in a column; then what it comes to."""
    names = max(len(finding.name) for finding in findings)
    for finding in findings:
        _print_paragraph(f"{finding.state:7}  {finding.name:{names}}  ", finding.found)
        if finding.fix:
            typer.echo(f"{'':7}  {'':{names}}  fix: {finding.fix}")  # whole, to be copied
    blocking = [finding.name for finding in findings if finding.state == "blocks"]
    warnings = [finding.name for finding in findings if finding.state == "warning"]
    text = f"not usable before this is fixed: {', '.join(blocking)}" if blocking else "usable"
    if warnings:
        text += f"; worth fixing: {', '.join(warnings)}"
    typer.echo(f"\n{text}")


def _print_paragraph(beginning: str, text: str) -> None:
    """Wrapped under itself on a terminal; a pipe gets one line, which can be searched."""
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns, len(beginning) + NARROWEST)
        text = textwrap.fill(
            text,
            width,
            initial_indent=beginning,
            subsequent_indent=" " * len(beginning),
            break_long_words=False,
            break_on_hyphens=False,
        )
        typer.echo(text)
    else:
        typer.echo(f"{beginning}{text}")
