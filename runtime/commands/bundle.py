"""``mgdn bundle create | inspect | verify``."""

from pathlib import Path
from typing import Annotated

import typer

from mgdn_edge.runtime.commands.options import JsonOption, OverwriteFiles, may_overwrite

BundleArgument = Annotated[Path, typer.Argument(help="A .mgdn file.", metavar="BUNDLE.mgdn")]


def register(app: typer.Typer) -> None:
    """Add the ``bundle`` group to ``app``."""
    group = typer.Typer(name="bundle", help="Create, inspect and verify bundles.")
    group.command("create")(create)
    group.command("inspect")(inspect)
    group.command("verify")(verify)
    app.add_typer(group)


def create(
    export_folder: Annotated[
        Path, typer.Argument(help="Folder written by `mgdn export`.", metavar="EXPORT_DIR")
    ],
    output: Annotated[Path, typer.Argument(help="Bundle to write.", metavar="OUT.mgdn")],
    name: Annotated[str | None, typer.Option(help="Name of the bundle [the network's].")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    note: Annotated[
        list[str] | None, typer.Option(help="Provenance note; may be repeated.")
    ] = None,
    overwrite: OverwriteFiles = False,
    as_json: JsonOption = False,
) -> None:
    """Make a bundle from an export: models, digests, provenance and golden pairs."""
    from mgdn_edge.runtime.bundle.manifest import encode_manifest
    from mgdn_edge.runtime.packing.creation import create_bundle

    manifest = create_bundle(
        export_folder,
        output,
        name=name,
        licence=licence,
        notes=note or (),
        overwrite=may_overwrite(overwrite),
    )
    if as_json:
        typer.echo(encode_manifest(manifest).decode(), nl=False)
        return
    names = ", ".join(variant.name for variant in manifest.variants)
    typer.echo(f"wrote {output}: {manifest.name}, variants {names}, {output.stat().st_size} bytes")


def inspect(bundle: BundleArgument, as_json: JsonOption = False) -> None:
    """Show what a bundle holds and where it came from; runs nothing."""
    from mgdn_edge.runtime.bundle.manifest import encode_manifest
    from mgdn_edge.runtime.bundle.print_manifest import print_manifest
    from mgdn_edge.runtime.bundle.reader import open_bundle

    with open_bundle(bundle) as opened:
        if as_json:
            typer.echo(encode_manifest(opened.manifest).decode(), nl=False)
        else:
            print_manifest(opened.manifest, signed=opened.signed)


def verify(bundle: BundleArgument, as_json: JsonOption = False) -> None:
    """Check every digest and fuse every golden pair on ONNX Runtime's CPU provider."""
    import msgspec

    from mgdn_edge.runtime.packing.verification import verify_bundle

    verdict = verify_bundle(bundle)
    if as_json:
        typer.echo(msgspec.json.encode(verdict).decode())
        return
    typer.echo(f"{bundle}: {verdict.files} digests match")
    for name, parity in verdict.golden.items():
        typer.echo(
            f"golden pair of {name}: at most {parity.max_error:.0f} levels off, "
            f"{parity.tolerance:.0f} allowed"
        )
