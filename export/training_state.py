"""The state of an unfinished run, in a file that continues it to the same bits.

A safetensors file: ``network.*``, ``average.*``, ``optimizer.INDEX.*``, ``recent`` (loss terms
since the last line) and ``random.*`` (torch's generators), and as JSON metadata what describes
the run, its losses so far and NumPy's generator. Nothing in it is executed when it is read.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from mgdn_edge.export.training_record import LossLine, ValidationLine
from mgdn_edge.runtime.errors import UserError

STATE_KEY = "mgdn.training_state"
STATE_SCHEMA = 1
START_AGAIN = "add --restart to start again"


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run's result depends on: ``settings`` by name, sha256 of each file, versions."""

    settings: dict[str, Any]
    digests: dict[str, str]
    versions: dict[str, str]


class StateFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metadata of a state file; ``random`` is NumPy's generator state as JSON."""

    description: Description
    step: int
    random: str
    losses: list[LossLine]
    validation: list[ValidationLine]
    cpu_seconds: float
    resumed: int
    schema: int = STATE_SCHEMA


@dataclass
class TrainingState:
    """Everything that changes while training; ``recent`` are the (4,) terms of each step."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    random: np.random.Generator
    step: int = 0
    losses: list[LossLine] = field(default_factory=list)
    recent: list[Tensor] = field(default_factory=list)
    validation: list[ValidationLine] = field(default_factory=list)
    cpu_seconds: float = 0.0
    resumed: int = 0


def encode_state(state: TrainingState, description: Description) -> bytes:
    """State -> the bytes of its file."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    tensors["recent"] = torch.stack(state.recent) if state.recent else torch.zeros(0, 4)
    tensors["random.torch"] = torch.get_rng_state()
    facts = StateFacts(
        description=description,
        step=state.step,
        random=json.dumps(state.random.bit_generator.state),  # its integers have 128 bits
        losses=state.losses,
        validation=state.validation,
        cpu_seconds=state.cpu_seconds,
        resumed=state.resumed,
    )
    on_cpu = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {STATE_KEY: msgspec.json.encode(facts).decode()}
    encoded: bytes = safetensors.torch.save(on_cpu, metadata)
    return encoded


def restore_state(path: Path, state: TrainingState, description: Description) -> list[str]:
    """File -> ``state``, as it was; returns notes on versions that have changed since.

    Raises UserError where the file is missing, damaged, or of a run that is described
    otherwise: it would not lead to the same weights.
    """
    facts, tensors = _read(path)
    _refuse_differences(path, facts.description, description)
    try:
        state.network.load_state_dict(_part(tensors, "network."))
        average = _part(tensors, "average.")
        for name, value in state.average.items():
            value.copy_(average[name])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimizer.").items():
            index, _, field_name = name.partition(".")
            moments.setdefault(int(index), {})[field_name] = value
        groups = state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(tensors["random.torch"])
        state.random.bit_generator.state = json.loads(facts.random)
        device = next(state.network.parameters()).device
        state.recent = list(tensors["recent"].to(device))
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} is damaged ({_first_line(error)}); {START_AGAIN}") from error
    state.step = facts.step
    state.losses = list(facts.losses)
    state.validation = list(facts.validation)
    state.cpu_seconds = facts.cpu_seconds
    state.resumed = facts.resumed + 1
    return [
        f"resumed at step {facts.step} with {name} {description.versions.get(name)}, "
        f"begun with {version}: bits may differ"
        for name, version in facts.description.versions.items()
        if description.versions.get(name) != version
    ]


def refuse_missing(path: Path) -> None:
    """UserError where there is no state to continue from."""
    if not path.is_file():
        raise UserError(f"there is no {path} to resume; leave out --resume to start")


def _read(path: Path) -> tuple[StateFacts, dict[str, Tensor]]:
    refuse_missing(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(STATE_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if text is None:
            raise UserError(f"{path} is not a training state; {START_AGAIN}")
        facts = msgspec.json.decode(text, type=StateFacts)
    except (OSError, safetensors.SafetensorError, msgspec.DecodeError) as error:
        raise UserError(
            f"{path} is not a whole training state ({_first_line(error)}); {START_AGAIN}"
        ) from error
    if facts.schema != STATE_SCHEMA:
        raise UserError(f"{path} has schema {facts.schema}, {STATE_SCHEMA} is read; {START_AGAIN}")
    return facts, tensors


def _refuse_differences(path: Path, old: Description, new: Description) -> None:
    for name in [*new.settings, *(old.settings.keys() - new.settings.keys())]:
        before, now = old.settings.get(name), new.settings.get(name)
        if before != now:
            raise UserError(
                f"{path} was begun with {name} {before}, this run has {now}; "
                f"continue it as it was begun, or {START_AGAIN}"
            )
    changed = dict(old.digests.items() ^ new.digests.items())
    if changed:
        raise UserError(
            f"{path} was begun on other data ({min(changed)} differs); "
            f"continue it on the same, or {START_AGAIN}"
        )
    if list(old.digests) != list(new.digests):
        raise UserError(
            f"{path} was begun with its data in another order; "
            f"give it in the same, or {START_AGAIN}"
        )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
