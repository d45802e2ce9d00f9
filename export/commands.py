"""``mgdn export``, ``mgdn check``, ``mgdn train`` and the benchmarks of published code."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from mgdn_edge.export import bench_commands
from mgdn_edge.export.train_command import EPILOG as TRAIN_EPILOG
from mgdn_edge.export.train_command import train_command
from mgdn_edge.runtime.commands.options import DATA_FORMS, JsonOption, OverwriteFiles, may_overwrite

EXTRA = "export"
CHECK_EPILOG = f"""{DATA_FORMS.format("DATA", "val")}

Examples:

  mgdn check exported vi.mp4 ir.mp4 --checkpoint 62000_E.safetensors --nodes

  mgdn check exported data#roadscene:val
"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("export")(export)
    app.command("check", epilog=CHECK_EPILOG)(check)
    app.command("train", epilog=TRAIN_EPILOG)(train_command)
    bench_commands.register(app)


CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        help="Weights: .safetensors, a torch pickle, .npz or a TensorFlow checkpoint [packaged]."
    ),
]


def export(
    output: Annotated[Path, typer.Argument(help="Folder to create.", metavar="OUT")],
    variant: Annotated[
        str,
        typer.Option(
            help="edge, ir, mff, mef, gdsr-x4, gdsr-x8, gdsr-x16, deghost, cadnif or "
            "cadnif-replicated (its inputs as its published test script has them)."
        ),
    ] = "edge",
    checkpoint: CheckpointOption = None,
    padding: Annotated[
        str, typer.Option(help="minimal, or release: the published script's rule.")
    ] = "minimal",
    output_range: Annotated[
        str,
        typer.Option(help="clip, or stretch: each still from its darkest to its brightest value."),
    ] = "clip",
    size: Annotated[
        list[str] | None,
        typer.Option(help="Static variant, WIDTHxHEIGHT; may be repeated [640x480, 640x512]."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    note: Annotated[
        list[str] | None, typer.Option(help="Provenance note; may be repeated.")
    ] = None,
    overwrite: OverwriteFiles = False,
    as_json: JsonOption = False,
) -> None:
    """Write a checkpoint's ONNX graphs, ready for `mgdn bundle create`.

    Example: mgdn export --variant mff --checkpoint 62000_E.safetensors exported
    """
    from mgdn_edge.runtime.commands.options import parse_size
    from mgdn_edge.runtime.errors import UserError
    from mgdn_edge.runtime.extras import require_extra

    require_extra(EXTRA)
    from mgdn_edge.export.export_network import DEFAULT_SIZES, export_network
    from mgdn_edge.runtime.bundle.export_record import encode_export_record
    from mgdn_edge.runtime.bundle.fusion_spec import OutputRange
    from mgdn_edge.runtime.commands.progress import show_progress

    if padding not in ("minimal", "release"):
        raise UserError(f"--padding {padding} is unknown; it is minimal or release")
    if output_range not in get_args(OutputRange):
        raise UserError(f"--output-range {output_range} is unknown; it is clip or stretch")
    with show_progress(bars=not as_json) as progress:
        record = export_network(
            variant,
            output,
            checkpoint=checkpoint,
            release_padding=padding == "release",
            output_range=cast("OutputRange", output_range),
            sizes=[parse_size(text) for text in size] if size else DEFAULT_SIZES,
            licence=licence,
            notes=note or (),
            progress=progress,
            overwrite=may_overwrite(overwrite),
        )
    if as_json:
        typer.echo(encode_export_record(record).decode(), nl=False)
        return
    names = ", ".join(model.name for model in record.models) or "core graph only"
    typer.echo(f"wrote {output}: {record.network} {record.variant}, {names}")
    if record.models:
        typer.echo(f"next: mgdn bundle create {output} {output}.mgdn")
    else:
        typer.echo(f"{variant} does not fuse two luma planes, so it has no frame graph to bundle")


def check(
    folder: Annotated[
        Path, typer.Argument(help="Folder written by `mgdn export`.", metavar="EXPORT_DIR")
    ],
    visible: Annotated[
        str | None,
        typer.Argument(help="Video, image or folder, or DATA that names both [a drawn scene]."),
    ] = None,
    infrared: Annotated[str | None, typer.Argument(help="The same in infrared.")] = None,
    checkpoint: CheckpointOption = None,
    frames: Annotated[int, typer.Option(min=1, help="Frame pairs to compare.")] = 4,
    bundle: Annotated[
        list[Path] | None, typer.Option(help="Also compare this .mgdn file; may be repeated.")
    ] = None,
    nodes: Annotated[bool, typer.Option("--nodes", help="Compare node by node too.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write a page to look at.")
    ] = None,
    overwrite: OverwriteFiles = False,
    as_json: JsonOption = False,
) -> None:
    """Compare torch with every ONNX graph of an export; exit code 1 where they differ."""
    from mgdn_edge.runtime.extras import require_extra

    require_extra(EXTRA)
    from mgdn_edge.runtime.machine.page_retention import retain_pages

    retain_pages()  # eager torch maps and unmaps every activation otherwise
    import msgspec

    from mgdn_edge.export.check_export import check_export
    from mgdn_edge.export.check_frames import draw_frames, read_frames
    from mgdn_edge.export.check_report import WorstFrame, write_check_report
    from mgdn_edge.export.check_table import print_check
    from mgdn_edge.export.tensorflow_checkpoint import checkpoint_files
    from mgdn_edge.runtime.bundle.export_record import list_export_files, read_export_record
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.fusion.open_session import open_session
    from mgdn_edge.runtime.machine.environment import command_text
    from mgdn_edge.runtime.pairing.recordings import Recording, list_recordings, recording_files
    from mgdn_edge.runtime.whole_file import Outputs, beside

    recordings: list[Recording] = []
    if visible is not None:
        recordings = (
            list_recordings(visible, "val")
            if infrared is None
            else [Recording("", visible, infrared)]
        )
    record, page = read_export_record(folder), None
    if report is not None:
        inputs = [folder / name for name in list_export_files(record)]
        inputs += [*recording_files(recordings), *(bundle or ())]
        inputs += [] if checkpoint is None else checkpoint_files(checkpoint)
        page = Outputs(inputs, may_overwrite(overwrite)).claim(report, "--report", ".html")
    kept = WorstFrame()
    pairs = read_frames(recordings, frames) if recordings else draw_frames(record)
    with ExitStack() as opened:
        sessions = [opened.enter_context(open_session(path)) for path in bundle or ()]
        with show_progress(bars=not as_json) as progress:
            result = check_export(
                folder,
                pairs,
                checkpoint=checkpoint,
                nodes=nodes,
                sessions=sessions,
                progress=progress,
                on_compared=kept.compare,
            )
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        print_check(result)
    if page is not None:
        with beside():
            write_check_report(page, result, kept, command_text(sys.argv[1:]))
    if not result.passed:
        raise typer.Exit(1)
