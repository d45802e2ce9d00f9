"""``mgdn train``: parses, calls one public function, says what to do next."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import DATA_FORMS, OverwriteFiles, may_overwrite

if TYPE_CHECKING:
    from mgdn_edge.export.training_record import TrainingRecord

EXTRA = "export"
EPILOG = f"""{DATA_FORMS.format("DATA", "train")}

Examples:

  mgdn train data mine.safetensors

  mgdn train day/ night/ mine.safetensors --licence "our own recordings" --threads 4

  mgdn train vi.mp4,ir.mp4 mine.safetensors --validation held_out/ --minutes 20

  mgdn train data#msrs:train night/ mine.safetensors --validation data#msrs:val

  mgdn train data mine.safetensors --resume

  mgdn train data tuned.safetensors --qat ranges.json

  mgdn train data ir.safetensors --recipe mgdn-ir --device cuda
"""


def train_command(
    data: Annotated[
        list[str],
        typer.Argument(
            help="Pairs to learn from; a manifest's rows of split val are measured on.",
            metavar="DATA",
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Checkpoint to write.", metavar="OUT.safetensors")],
    recipe: Annotated[
        str, typer.Option(metavar="NAME", help="mgdn-edge or mgdn-ir; repeats a weight file.")
    ] = "mgdn-edge",
    steps: Annotated[int | None, typer.Option(help="Steps instead of the recipe's.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="CPU minutes instead of steps; not repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed instead of the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    qat: Annotated[
        Path | None,
        typer.Option(
            metavar="RANGES.json",
            help="Fine-tune for 8 bits; ranges.json of a bundle that mgdn quantize wrote.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights that --qat begins with [packaged]."),
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="Pairs to measure on; may be repeated [split=val]."),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Licence of data whose manifest states none.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1, help="Pairs of each recording, evenly spread [24 of a clip, else all]."
        ),
    ] = None,
    shortest: Annotated[
        bool, typer.Option("--shortest", help="Stop at the shorter clip; common stems only.")
    ] = False,
    infrared_luma: Annotated[
        bool, typer.Option("--infrared-luma", help="Take false-colour infrared by its luma.")
    ] = False,
    infrared_span: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="Sensor counts that become 0 and 255.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from OUT.state, to the same bits.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start again although OUT.state exists.")
    ] = False,
    save_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between writing OUT.state.")
    ] = 5.0,
    overwrite: OverwriteFiles = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the training record.")] = False,
) -> None:
    """Train a network without ground truth on pairs of images and clips.

    Writes OUT.safetensors, and OUT.png: visible, infrared and fused of fixed frames. Ctrl-C
    keeps OUT.state for --resume.
    """
    from mgdn_edge.runtime.errors import INTERRUPTED, EndedEarlyError, UserError
    from mgdn_edge.runtime.extras import require_extra

    require_extra(EXTRA)
    from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS
    from mgdn_edge.export.rounded_layers import FineTuning
    from mgdn_edge.export.train import TrainingStoppedError, train
    from mgdn_edge.export.training_data import DataOptions
    from mgdn_edge.export.training_options import RunOptions
    from mgdn_edge.export.training_recipes import find_recipe
    from mgdn_edge.export.training_record import TrainingRecord
    from mgdn_edge.runtime.capture.sources import InfraredOptions
    from mgdn_edge.runtime.commands.interrupt import stop_on_signal
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.machine.page_retention import retain_pages
    from mgdn_edge.runtime.thermal.count_scale import parse_span

    if steps is not None and minutes is not None:
        raise UserError("give either steps or minutes, not both: --minutes 20")
    if start is not None and qat is None:
        raise UserError(f"--start {start} is for fine-tuning; add --qat RANGES.json")
    retain_pages()

    def show(record: TrainingRecord) -> None:
        print_record_json(record) if as_json else print_record(output, record)

    try:
        with stop_on_signal() as stop, show_progress(bars=not as_json) as progress:
            record = train(
                DataOptions(
                    data=tuple(data),
                    validation=tuple(validation or ()),
                    licence=licence,
                    frames=frames,
                    shortest=shortest,
                    infrared=InfraredOptions(infrared_luma, parse_span(infrared_span)),
                ),
                output,
                find_recipe(recipe, steps=steps, seed=seed, tuning=qat is not None),
                RunOptions(minutes, threads, device, resume, restart, save_minutes),
                tuning=None if qat is None else FineTuning(qat, start or EDGE_WEIGHTS),
                stop=stop,
                progress=progress,
                overwrite=may_overwrite(overwrite),
            )
    except TrainingStoppedError as stopped:
        typer.echo(
            f"stopped after {stopped.step} steps; the same command with --resume continues "
            f"from {stopped.state}",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    except EndedEarlyError as error:
        show(error.figures)
        raise
    show(record)


def print_record_json(record: "TrainingRecord") -> None:
    """The record as one object."""
    import msgspec

    typer.echo(msgspec.json.encode(record).decode())


def print_record(output: Path, record: "TrainingRecord") -> None:
    """What was written and what to type next."""
    typer.echo(f"wrote {output}: {record.steps} steps, {record.parameters} parameters")
    variant = "" if record.network == "mgdn-edge" else "--variant ir "
    typer.echo(f"next: mgdn export {variant}--checkpoint {output} exported")
