"""``mgdn cache ls | why | gc``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from mgdn_edge.runtime.commands.engine_options import (
    BuilderOption,
    CacheOption,
    EngineVariantOption,
    LevelOption,
    NetworkArgument,
    SizeOption,
    Tf32Option,
    WorkspaceOption,
)
from mgdn_edge.runtime.commands.options import Filter, JsonOption, PrecisionOption, parse_size

MIB = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the ``cache`` group to ``app``."""
    group = typer.Typer(name="cache", help="The engines kept on this machine.")
    group.command("ls")(list_command)
    group.command("why")(why_command)
    group.command("gc")(clean_command)
    app.add_typer(group)


def list_command(cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """List the engines kept, what they were built for, and whether they are sound."""
    import msgspec

    from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, cache_folder
    from mgdn_edge.runtime.fusion.engines.engine_list import list_engines

    opened = EngineCache(cache_folder(cache))
    engines = list_engines(opened)
    if as_json:
        typer.echo(
            msgspec.json.encode(
                {"folder": opened.folder, "engines": engines}, enc_hook=str
            ).decode()
        )
        return
    if not engines:
        typer.echo(f"no engines in {opened.engines}")
    for engine in engines:
        typer.echo(f"{engine.path}")
        typer.echo(f"  {engine.state}")
        if engine.record is not None:
            record, key = engine.record, engine.record.key
            days = (time.time() - engine.last_used) / 86400
            parity = "parity seen" if record.verified else "parity not seen yet"
            typer.echo(
                f"  {record.network} {key.width}x{key.height} {key.precision}, filter "
                f"{key.filter}, {key.builder} {key.builder_version}, "
                f"{key.gpu or 'ahead of time'}; {record.bytes / MIB:.1f} MiB, built in "
                f"{record.build_seconds:.1f} s, {parity}, used {days:.0f} days ago"
            )


def why_command(
    bundle: NetworkArgument,
    variant: EngineVariantOption = None,
    precision: PrecisionOption = None,
    size: SizeOption = None,
    builder: BuilderOption = "tensorrt",
    filter: Filter = None,
    workspace: WorkspaceOption = 1024,
    tf32: Tf32Option = False,
    level: LevelOption = 3,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a bundle's engines are cached, and where not, which field differs."""
    import msgspec

    from mgdn_edge.runtime.fusion.engines.bundle_engines import EngineRequest, explain_engines
    from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, cache_folder
    from mgdn_edge.runtime.fusion.engines.engine_key import BuildOptions

    request = EngineRequest(
        bundle,
        variant=variant,
        precision=precision,
        size=parse_size(size) if size else None,
        builder=builder,
        filter=filter,
        options=BuildOptions(workspace, tf32, level),
    )
    explanations = explain_engines(request, EngineCache(cache_folder(cache)))
    if as_json:
        typer.echo(msgspec.json.encode({"engines": explanations}).decode())
        return
    for each in explanations:
        size_text = f"{each.key.width}x{each.key.height}"
        typer.echo(f"{each.network} {size_text} {each.key.precision}: {each.state}; {each.reason}")


def clean_command(
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Remove engines not used for this many days."),
    ] = None,
    max_size: Annotated[
        int | None,
        typer.Option(min=0, metavar="MIB", help="Remove the longest unused down to this size."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove everything.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove broken files, and engines by age or size."""
    import msgspec

    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.fusion.engines.cache_cleaning import clean_cache
    from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache, cache_folder

    opened = EngineCache(cache_folder(cache))
    with show_progress(bars=not as_json) as progress:
        removals = clean_cache(
            opened,
            older_than_days=older_than,
            max_bytes=None if max_size is None else max_size * MIB,
            everything=everything,
            dry_run=dry_run,
            progress=progress,
        )
    if as_json:
        typer.echo(
            msgspec.json.encode({"dry_run": dry_run, "removed": removals}, enc_hook=str).decode()
        )
        return
    verb = "would remove" if dry_run else "removed"
    for removal in removals:
        typer.echo(f"{verb} {removal.path}: {removal.reason}")
    freed = sum(removal.bytes for removal in removals) / MIB
    typer.echo(f"{verb} {len(removals)} files or engines, {freed:.1f} MiB, of {opened.folder}")
