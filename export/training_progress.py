"""What a training run prints while it runs."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mgdn_edge.export.training_record import LossLine, ValidationLine


def describe_losses(line: LossLine) -> str:
    """One line of text: the mean terms since the line before."""
    return (
        f"step {line.step}  loss {line.total:.4f}  intensity {line.intensity:.4f}  "
        f"gradient {line.gradient:.4f}  structure {line.structure:.4f}"
    )


def describe_frames(line: ValidationLine) -> str:
    """One line of text: loss and metrics on the fixed frames."""
    return (
        f"{line.frames} frames  loss {line.total:.4f}  EN {line.en:.2f}  SF {line.sf:.2f}  "
        f"AG {line.ag:.2f}  SCD {line.scd:.2f}  VIF {line.vif:.3f}  Qabf {line.qabf:.3f}"
    )


def show_progress(console: Console) -> Progress:
    """A bar with the share done and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
