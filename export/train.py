"""Train a network without ground truth, on CPU or GPU, reproducibly, resumable to the same bits.

``train`` follows a ``Recipe``: Adam with a cosine learning rate on seeded crops, and an
exponential moving average of the weights, which is what the checkpoint holds. With a number of
steps the result depends on the recipe, the data, the device, the threads and the library
versions alone; with ``minutes`` also on the machine's speed.

    OUT.safetensors   the weights and their TrainingRecord, at the end
    OUT.png           visible | infrared | fused of fixed frames, at intervals and at the end
    OUT.state         the unfinished run, at intervals and when stopped; removed at the end
"""

import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from mgdn_edge.export.losses import fusion_loss
from mgdn_edge.export.network_catalogue import build_network
from mgdn_edge.export.rounded_layers import FineTuning, begin_fine_tuning
from mgdn_edge.export.training_crops import Batch, draw_batches
from mgdn_edge.export.training_data import (
    DataOptions,
    TrainingData,
    digest_list,
    read_training_data,
)
from mgdn_edge.export.training_options import RunFiles, RunOptions, check_run, describe_training
from mgdn_edge.export.training_recipes import Recipe, learning_rate
from mgdn_edge.export.training_record import (
    LossLine,
    TrainingRecord,
    describe_frames,
    describe_losses,
    write_checkpoint,
)
from mgdn_edge.export.training_state import (
    Description,
    TrainingState,
    encode_state,
    restore_state,
)
from mgdn_edge.export.training_validation import (
    FixedFrames,
    choose_frames,
    encode_validation_picture,
    measure_frames,
    plain_average,
    with_weights,
)
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.whole_file import Overwrite, beside

LOSS_EVERY = 100  # steps a loss line is the mean of


class TrainingStoppedError(Exception):
    """The run was asked to stop; ``state`` continues it from ``step``."""

    def __init__(self, step: int, state: Path) -> None:
        super().__init__(f"stopped after {step} steps; {state} continues the run")
        self.step = step
        self.state = state


def train(
    data_options: DataOptions,
    output: Path,
    recipe: Recipe,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    *,
    tuning: FineTuning | None = None,
    stop: threading.Event | None = None,
    progress: Progress = SILENT,
    overwrite: Overwrite = False,
) -> TrainingRecord:
    """Recordings -> ``output`` (.safetensors, written whole) and its record.

    With ``tuning`` it begins with trained weights and computes as their 8-bit file will.
    Raises UserError for unusable arguments, data, state or a diverged loss, and EndedEarlyError
    with the record where only the picture failed; once ``stop`` is set it raises
    TrainingStoppedError after the step being made.
    """
    check_run(recipe, options)
    files = RunFiles(output, data_options, tuning, options, overwrite)
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.network)
    tuned = {} if tuning is None else begin_fine_tuning(network, recipe.network, tuning)
    network.to(device)
    data = read_training_data(data_options)
    state = TrainingState(
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), lr=recipe.learning_rate),
        average={name: value.detach().clone() for name, value in network.state_dict().items()},
        random=np.random.default_rng(recipe.seed),
    )
    description = describe_training(recipe, options, data_options, data, tuned)
    frames = choose_frames(data)
    notes = list(data.notes)
    if recipe.data and digest_list(data.training.digests) != recipe.data:
        notes.append(f"the data are not those of recipe {recipe.name}, so its weights will differ")
    progress.tell(
        f"{len(data.training.pairs)} pairs of {len(data.training.licences)} sets, "
        f"{count_parameters(network)} parameters, seed {recipe.seed}"
    )
    if options.resume:
        notes += restore_state(files.state.output.path, state, description)
        progress.tell(f"resumed at step {state.step}")
    for note in notes:
        progress.tell(f"note: {note}")
    plain, _ = measure_frames(plain_average, frames, 0, recipe.weights, device)
    progress.tell(f"average of both inputs: {describe_frames(plain)}")

    _run(state, recipe, options, data, frames, description, files, stop, progress)

    record = TrainingRecord(
        network=recipe.network,
        steps=state.step,
        seed=recipe.seed,
        cpu_seconds=round(state.cpu_seconds, 1),
        parameters=count_parameters(network),
        recipe=msgspec.to_builtins(recipe),
        losses=state.losses,
        licences=data.training.licences,
        digests=data.training.digests,
        versions=description.versions,
        device=options.device,
        threads=options.threads,
        resumed=state.resumed,
        minutes=options.minutes,
        validation=state.validation,
        validation_digests=data.validation.digests,
        notes=notes,
        tuning=tuned,
    )
    weights = {name: value.cpu() for name, value in state.average.items()}
    write_checkpoint(files.weights, weights, record)
    files.remove_state()
    with beside(output, record):
        files.picture.check()
    return record


def count_parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def _run(
    state: TrainingState,
    recipe: Recipe,
    options: RunOptions,
    data: TrainingData,
    frames: FixedFrames,
    description: Description,
    files: RunFiles,
    stop: threading.Event | None,
    progress: Progress,
) -> None:
    """Steps from ``state`` to the end, with loss lines, validation, pictures and state files.

    A picture or a state that cannot be written costs no training: the picture's failure waits, and
    the state is tried again.
    """
    batches = draw_batches(
        data.training.pairs,
        batch=recipe.batch,
        crop=recipe.crop,
        jitter=recipe.jitter,
        random=state.random,
    )
    device = next(state.network.parameters()).device
    fuse = with_weights(state.network, state.average)
    before, started, saved = state.cpu_seconds, time.process_time(), time.monotonic()

    def share_done() -> float:
        state.cpu_seconds = before + time.process_time() - started
        if options.minutes is not None:
            return state.cpu_seconds / (60 * options.minutes)
        return state.step / recipe.steps

    def validate() -> None:
        line, fused = measure_frames(fuse, frames, state.step, recipe.weights, device)
        state.validation.append(line)
        progress.tell(f"step {line.step}  {describe_frames(line)}")
        files.picture.try_write(encode_validation_picture(frames, fused))

    shown = 0.0
    progress.begin("training", 1.0)
    while (done := share_done()) < 1:
        if stop is not None and stop.is_set():
            files.state.write(encode_state(state, description))
            raise TrainingStoppedError(state.step, files.state.output.path)
        if time.monotonic() - saved > 60 * options.save_minutes:
            files.state.try_write(encode_state(state, description))
            saved = time.monotonic()
            if files.state.failure is not None:
                progress.tell(f"note: {files.state.failure}")
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, done, state.step)
        state.recent.append(_train_step(state, next(batches).to(device), recipe))
        state.step += 1
        # The first weights are soon forgotten.
        decay = min(recipe.average, state.step / (state.step + 10))
        for name, value in state.network.state_dict().items():
            state.average[name].lerp_(value, 1 - decay)
        progress.advance(done - shown)
        shown = done
        if len(state.recent) == LOSS_EVERY:
            state.losses.append(_loss_line(state.step, state.recent))
            state.recent.clear()
            progress.tell(describe_losses(state.losses[-1]))
        if state.step % recipe.validate_every == 0:
            validate()
    progress.done()
    if state.recent:
        state.losses.append(_loss_line(state.step, state.recent))
    if not state.validation or state.validation[-1].step != state.step:
        validate()


def _train_step(state: TrainingState, batch: Batch, recipe: Recipe) -> Tensor:
    """One update -> (4,) total, intensity, gradient and structure."""
    fused = state.network(batch.visible, batch.infrared)
    loss = fusion_loss(fused, batch.clean_visible, batch.clean_infrared, recipe.weights)
    if not torch.isfinite(loss.total):
        raise UserError("the loss is not finite; lower the learning rate")
    state.optimizer.zero_grad()
    loss.total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), recipe.gradient_norm)
    state.optimizer.step()
    return torch.stack((loss.total, loss.intensity, loss.gradient, loss.structure)).detach()


def _loss_line(step: int, recent: list[Tensor]) -> LossLine:
    return LossLine(step, *(round(float(value), 5) for value in torch.stack(recent).mean(0)))
