"""How a training run goes on this machine: refused where it cannot, described for its state."""

import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from mgdn_edge import __version__
from mgdn_edge.export.recipes import Recipe
from mgdn_edge.export.training_data import DataOptions, TrainingData
from mgdn_edge.export.training_state import Description
from mgdn_edge.runtime.errors import UserError

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


def check_run(output: Path, recipe: Recipe, options: RunOptions) -> Path:
    """Refuse what cannot work before the work -> where the state is kept."""
    if options.minutes is not None and not 0 < options.minutes < math.inf:
        raise UserError(f"minutes={options.minutes}; a length above zero is wanted")
    if recipe.steps < 1:
        raise UserError(f"steps={recipe.steps}; a length above zero is wanted")
    if not options.save_minutes >= 0:
        raise UserError(f"save_minutes={options.save_minutes}; zero or more is wanted")
    if output.suffix != ".safetensors":
        raise UserError(f"{output} must end in .safetensors; that is what is written")
    if not os.access(output.parent, os.W_OK) or output.is_dir():
        raise UserError(f"cannot write {output}; give a file in a folder that exists")
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
    state_path = output.with_suffix(".state")
    if options.resume and options.restart:
        raise UserError("--resume continues a run and --restart starts again; give one of them")
    if state_path.exists() and not (options.resume or options.restart):
        raise UserError(
            f"{state_path} holds an unfinished run; add --resume to continue it or --restart to "
            "start again"
        )
    return state_path


def describe_run(
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
