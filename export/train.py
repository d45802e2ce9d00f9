"""Train ``mgdn-edge`` without ground truth, on a CPU, reproducibly from a seed.

``train`` reads the manifest's train split, runs Adam with a cosine learning rate and keeps an
exponential moving average of the weights, which is what the checkpoint holds. With ``steps``
the result depends on the seed and the library versions alone; with ``minutes`` also on the
machine's speed.
"""

import math
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors
import safetensors.torch
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from mgdn_edge import __version__
from mgdn_edge.export.losses import LossWeights, fusion_loss
from mgdn_edge.export.networks.edge import MGDNEdge
from mgdn_edge.export.training_data import Batch, Jitter, draw_batches, read_training_set
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import write_whole

METADATA_KEY = "mgdn.training_record"  # in the checkpoint's safetensors metadata
LOSS_EVERY = 100  # steps a loss line is the mean of


@dataclass(frozen=True)
class Recipe:
    """Everything about a run but its data, length and seed."""

    batch: int = 8
    crop: int = 160
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-5
    warmup_steps: int = 100
    average: float = 0.998  # decay of the weights' moving average, about 500 steps
    gradient_norm: float = 1.0  # larger gradients are scaled down to it
    weights: LossWeights = field(default_factory=LossWeights)
    jitter: Jitter = field(default_factory=Jitter)


class LossLine(msgspec.Struct, frozen=True):
    """Mean unweighted terms over the ``LOSS_EVERY`` steps that end at ``step``."""

    step: int
    total: float
    intensity: float
    gradient: float
    structure: float


class TrainingRecord(msgspec.Struct, frozen=True):
    """How a checkpoint came to be; travels in its metadata and in a bundle's provenance."""

    network: str
    steps: int
    seed: int
    cpu_seconds: float
    parameters: int
    recipe: dict[str, Any]
    losses: list[LossLine]
    licences: dict[str, str]
    digests: dict[str, str]
    versions: dict[str, str]


def train(
    data_root: Path,
    output: Path,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    threads: int = 1,
    recipe: Recipe | None = None,
    console: Console | None = None,
) -> TrainingRecord:
    """Folder with ``manifest.csv`` -> ``output`` (.safetensors, written whole) and its record.

    Exactly one of ``steps`` and ``minutes`` is given; minutes are of CPU time of this process,
    over all ``threads``. Raises UserError for unusable arguments, data or a diverged loss.
    """
    if (steps is None) == (minutes is None):
        raise UserError("give either steps or minutes, not both or neither: --minutes 20")
    if (steps is not None and steps < 1) or (minutes is not None and not 0 < minutes < math.inf):
        raise UserError(f"steps={steps}, minutes={minutes}; a length above zero is wanted")
    if output.suffix != ".safetensors":
        raise UserError(f"{output} must end in .safetensors; that is what is written")
    if not os.access(output.parent, os.W_OK) or output.is_dir():  # before the work, not after
        raise UserError(f"cannot write {output}; give a file in a folder that exists")
    if threads < 1:
        raise UserError(f"threads={threads}; at least 1 is needed")

    recipe = recipe or Recipe()
    console = console or Console(stderr=True)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    data = read_training_set(data_root)
    network = MGDNEdge()
    console.print(
        f"{len(data.pairs)} pairs of {len(data.licences)} sets, "
        f"{count_parameters(network)} parameters, seed {seed}"
    )
    batches = draw_batches(
        data.pairs, batch=recipe.batch, crop=recipe.crop, jitter=recipe.jitter, seed=seed
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    losses: list[LossLine] = []
    recent: list[Tensor] = []
    started = time.process_time()
    step = 0
    with _progress(console) as progress:
        task = progress.add_task("training", total=1.0)
        while (done := _share_done(step, steps, minutes, started)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, done, step)
            recent.append(_train_step(network, optimizer, next(batches), recipe))
            step += 1
            decay = min(recipe.average, step / (step + 10))  # the first weights are soon forgotten
            for name, value in network.state_dict().items():
                average[name].lerp_(value, 1 - decay)
            progress.update(task, completed=done)
            if len(recent) == LOSS_EVERY:
                losses.append(_loss_line(step, recent))
                recent.clear()
                console.print(_describe(losses[-1]))
        progress.update(task, completed=1.0)
    if recent:
        losses.append(_loss_line(step, recent))

    record = TrainingRecord(
        network="mgdn-edge",
        steps=step,
        seed=seed,
        cpu_seconds=round(time.process_time() - started, 1),
        parameters=count_parameters(network),
        recipe=msgspec.to_builtins(recipe),
        losses=losses,
        licences=data.licences,
        digests=data.digests,
        versions={
            "mgdn-edge": __version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    )
    write_checkpoint(output, average, record)
    return record


def learning_rate(recipe: Recipe, done: float, step: int) -> float:
    """Share of the run done, in [0, 1], and the step -> cosine from first to final rate.

    The first ``warmup_steps`` rise linearly, as Adam's second moments start from nothing.
    """
    cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
    rate = recipe.final_learning_rate + cosine * (recipe.learning_rate - recipe.final_learning_rate)
    return rate * min(1.0, (step + 1) / recipe.warmup_steps)


def count_parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def write_checkpoint(path: Path, weights: Mapping[str, Tensor], record: TrainingRecord) -> None:
    """Weights and record -> ``path``, whole or not at all; the record as JSON metadata."""
    metadata = {"format": "pt", METADATA_KEY: msgspec.json.encode(record).decode()}
    write_whole(path, safetensors.torch.save(dict(weights), metadata))


def read_record(path: Path) -> TrainingRecord:
    """Checkpoint -> the record in its metadata; UserError where there is none."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} is not a readable .safetensors file: {error}") from error
    if METADATA_KEY not in metadata:
        raise UserError(f"{path} carries no training record; write it with mgdn train")
    return msgspec.json.decode(metadata[METADATA_KEY], type=TrainingRecord)


def _share_done(step: int, steps: int | None, minutes: float | None, started: float) -> float:
    if steps is not None:
        return step / steps
    assert minutes is not None
    return (time.process_time() - started) / (60 * minutes)


def _train_step(
    network: MGDNEdge, optimizer: torch.optim.Optimizer, batch: Batch, recipe: Recipe
) -> Tensor:
    """One update -> (4,) total, intensity, gradient and structure."""
    fused = network(batch.visible, batch.infrared)
    loss = fusion_loss(fused, batch.clean_visible, batch.clean_infrared, recipe.weights)
    if not torch.isfinite(loss.total):
        raise UserError("the loss is not finite; lower the learning rate")
    optimizer.zero_grad()
    loss.total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm)
    optimizer.step()
    return torch.stack((loss.total, loss.intensity, loss.gradient, loss.structure)).detach()


def _loss_line(step: int, recent: list[Tensor]) -> LossLine:
    return LossLine(step, *(round(float(value), 5) for value in torch.stack(recent).mean(0)))


def _describe(line: LossLine) -> str:
    return (
        f"step {line.step}  loss {line.total:.4f}  intensity {line.intensity:.4f}  "
        f"gradient {line.gradient:.4f}  structure {line.structure:.4f}"
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
