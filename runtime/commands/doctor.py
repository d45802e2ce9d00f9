"""``mgdn doctor``: parses, calls examine_machine, prints its findings."""

from typing import Annotated

import typer

UNUSABLE_EXIT_CODE = 1


def register(app: typer.Typer) -> None:
    """Add ``mgdn doctor``."""
    app.command("doctor")(doctor_command)


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    ceilings: Annotated[
        bool, typer.Option("--ceilings", help="Also measure memory and arithmetic, 2 s.")
    ] = False,
) -> None:
    """Say what is installed, what is missing and the command that fixes it; exit 1 if unusable."""
    import msgspec

    from mgdn_edge.runtime.doctor import examine_machine

    report = examine_machine()
    if ceilings:
        from mgdn_edge.runtime.machine.ceilings import measure_ceilings

        report = msgspec.structs.replace(report, ceilings=measure_ceilings())
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        for finding in report.findings:
            typer.echo(f"{finding.state:8} {finding.name}: {finding.found}")
            if finding.fix:
                typer.echo(f"{'':8} fix: {finding.fix}")
        if report.ceilings is not None:
            typer.echo(f"{'':8} ceilings: {report.ceilings.sentence()}")
    if not report.usable:
        raise typer.Exit(UNUSABLE_EXIT_CODE)
