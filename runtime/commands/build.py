"""mgdn build: parses, calls build_engines, prints what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from mgdn_edge.runtime.fusion.engines.bundle_engines import EngineSummary

EPILOG = """Examples:

  mgdn build mgdn-edge

  mgdn build scene.mgdn --variant 640x480 --workspace 256

  mgdn build scene.mgdn --size 1280x720

  mgdn build scene.mgdn --builder tensorrt-rtx --filter body

Exit code 3: this machine cannot do it as asked; the line says why.
"""


def register(app: typer.Typer) -> None:
    """Add ``mgdn build``."""
    app.command("build", epilog=EPILOG)(build_command)


def build_command(
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
    cached_only: Annotated[
        bool, typer.Option("--cached-only", help="Build nothing; fail where one is missing.")
    ] = False,
    ignore_memory: Annotated[
        bool, typer.Option("--ignore-memory", help="Build even where memory may run out.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a bundle's TensorRT engines for this device, or find them in the cache."""
    import msgspec

    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.fusion.engines.bundle_engines import EngineRequest, build_engines
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
    with show_progress(bars=not as_json) as progress:
        engines = build_engines(
            request,
            EngineCache(cache_folder(cache)),
            cached_only=cached_only,
            ignore_memory=ignore_memory,
            progress=progress,
        )
        if as_json:
            typer.echo(msgspec.json.encode({"engines": list(engines)}).decode())
            return
        for engine in engines:
            print_engine(engine)


def print_engine(engine: EngineSummary) -> None:
    """Where it came from, what it is, where it is kept."""
    where = engine.path or "not kept"
    parity = "parity seen" if engine.verified else "parity is checked before first use"
    typer.echo(
        f"{engine.origin} {engine.network} {engine.key.width}x{engine.key.height} "
        f"{engine.key.precision}: {engine.bytes} bytes, built in {engine.build_seconds:.1f} s, "
        f"{parity}; {where}"
    )
    for note in engine.notes:
        typer.echo(f"  note: {note}")
