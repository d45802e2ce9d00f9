"""How a training run goes on this machine: refused where it cannot, described for its state."""

import math
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from mgdn_edge import __version__
from mgdn_edge.export.rounded_layers import FineTuning
from mgdn_edge.export.training_data import DataOptions, TrainingData, training_files
from mgdn_edge.export.training_recipes import Recipe
from mgdn_edge.export.training_state import Description, refuse_missing
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import Outputs, Overwrite, RunFile

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class RunOptions:
    """How a run goes on this machine. ``minutes``, of CPU time, replace the recipe's steps.

    A state is written every ``save_minutes``, of wall time. ``resume`` continues from it;
    without ``restart`` an unfinished run is never thrown away.
    """

    minutes: float | None = None
    threads: int = 1
    device: str = "cpu"
    resume: bool = False
    restart: bool = False
    save_minutes: float = 5.0


def check_run(recipe: Recipe, options: RunOptions) -> None:
    """Refuse what cannot work before the work."""
    if options.minutes is not None and not 0 < options.minutes < math.inf:
        raise UserError(f"minutes={options.minutes}; a length above zero is wanted")
    if recipe.steps < 1:
        raise UserError(f"steps={recipe.steps}; a length above zero is wanted")
    if not options.save_minutes >= 0:
        raise UserError(f"save_minutes={options.save_minutes}; zero or more is wanted")
    if options.threads < 1:
        raise UserError(f"threads={options.threads}; at least 1 is needed")
    if options.device not in DEVICES:
        raise UserError(f"device {options.device!r} is unknown; it is {' or '.join(DEVICES)}")
    if options.device == "cuda":
        if not torch.cuda.is_available():
            raise UserError(
                f"torch {torch.__version__} finds no CUDA device; use --device cpu, or install "
                "torch's CUDA build where there is an NVIDIA GPU"
            )
        torch.backends.cudnn.benchmark = False  # it picks kernels by their speed that day
        torch.backends.cudnn.deterministic = True
    if options.resume and options.restart:
        raise UserError("--resume continues a run and --restart starts again; give one of them")


class RunFiles:
    """OUT.safetensors, and beside it the picture OUT.png and the state OUT.state.

    Where ``options`` continue or restart an unfinished run, its state and its picture are replaced
    unasked: they are that run's. Weights that exist are not, as a run writes them only at its end.
    """

    def __init__(
        self,
        output: Path,
        data: DataOptions,
        tuning: FineTuning | None,
        options: RunOptions,
        overwrite: Overwrite,
    ) -> None:
        """Claim them; UserError where one cannot be written or an unfinished run would be lost."""
        inputs = training_files(data)
        inputs += [] if tuning is None else [tuning.ranges, tuning.start]
        outputs = Outputs(inputs, overwrite)
        state_path = output.with_suffix(".state")
        unfinished = state_path.exists()
        if options.resume:
            refuse_missing(state_path)
        if unfinished and not (options.resume or options.restart):
            raise UserError(
                f"{state_path} holds an unfinished run; add --resume to continue it or --restart "
                "to start again"
            )
        self.weights = outputs.claim(output, "OUT", ".safetensors")
        self.picture = RunFile(outputs.claim(output.with_suffix(".png"), "OUT", ours=unfinished))
        self.state = RunFile(outputs.claim(state_path, "OUT", ours=unfinished))
        self._unfinished = unfinished

    def remove_state(self) -> None:
        """Remove the state of the run, or of the one it continued; no other run's."""
        if self._unfinished or self.state.written:
            self.state.output.path.resolve().unlink(missing_ok=True)


def describe_training(
    recipe: Recipe,
    options: RunOptions,
    data_options: DataOptions,
    data: TrainingData,
    tuned: dict[str, str],
) -> Description:
    """Everything the result depends on, by the name it has on the command line.

    ``tuned`` are the digests of what fine-tuning begins with, or nothing.
    """
    settings: dict[str, Any] = {"recipe": recipe.name}
    settings |= {k: v for k, v in msgspec.to_builtins(recipe).items() if k != "name"}
    settings |= {"minutes": options.minutes, "threads": options.threads, "device": options.device}
    settings |= {
        "frames": data_options.frames,
        "infrared-luma": data_options.infrared.luma,
        "infrared-span": list(data_options.infrared.span) if data_options.infrared.span else None,
    }
    settings |= tuned
    versions = {
        "mgdn-edge": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    validation = {f"validation {name}": of for name, of in data.validation.digests.items()}
    return Description(settings, data.training.digests | validation, versions)
