"""TrainingRecord: how a checkpoint came to be, carried in its metadata."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import safetensors
import safetensors.torch
from torch import Tensor

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import Output

METADATA_KEY = "mgdn.training_record"  # in the checkpoint's safetensors metadata

FrameKind = Literal["validation", "training"]


class LossLine(msgspec.Struct, frozen=True):
    """Mean unweighted terms over the steps since the line before, up to ``step``."""

    step: int
    total: float
    intensity: float
    gradient: float
    structure: float


def describe_losses(line: LossLine) -> str:
    """One line of text: the mean terms since the line before."""
    return (
        f"step {line.step}  loss {line.total:.4f}  intensity {line.intensity:.4f}  "
        f"gradient {line.gradient:.4f}  structure {line.structure:.4f}"
    )


class ValidationLine(msgspec.Struct, frozen=True):
    """Loss terms and fusion metrics of the averaged weights on fixed whole frames.

    ``frames`` says whether they are validation frames or, where there are none, frames that
    were also trained on. The metrics are ``runtime.fusion_metrics``' of 8-bit planes.
    """

    step: int
    frames: FrameKind
    total: float
    intensity: float
    gradient: float
    structure: float
    en: float
    sf: float
    ag: float
    scd: float
    vif: float
    qabf: float


def describe_frames(line: ValidationLine) -> str:
    """One line of text: loss and metrics on the fixed frames."""
    return (
        f"{line.frames} frames  loss {line.total:.4f}  EN {line.en:.2f}  SF {line.sf:.2f}  "
        f"AG {line.ag:.2f}  SCD {line.scd:.2f}  VIF {line.vif:.3f}  Qabf {line.qabf:.3f}"
    )


class TrainingRecord(msgspec.Struct, frozen=True):
    """How a checkpoint came to be; travels in its metadata and in a bundle's provenance.

    ``digests`` are sha256 of the files trained on; ``cpu_seconds`` are of every process that
    worked on it, over all threads; ``resumed`` counts how often it was continued from a state.
    ``tuning`` has the sha256 of what quantisation-aware fine-tuning began with: ``qat``, of the
    ranges, and ``start``, of the weights. Fields with defaults were added later, so older
    checkpoints stay readable.
    """

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
    device: str = "cpu"
    threads: int = 1
    resumed: int = 0
    minutes: float | None = None
    validation: list[ValidationLine] = []
    validation_digests: dict[str, str] = {}
    notes: list[str] = []
    tuning: dict[str, str] = {}


def write_checkpoint(output: Output, weights: Mapping[str, Tensor], record: TrainingRecord) -> None:
    """Weights and record -> ``output``, whole or not at all; the record as JSON metadata."""
    metadata = {"format": "pt", METADATA_KEY: msgspec.json.encode(record).decode()}
    output.write(safetensors.torch.save(dict(weights), metadata))


def read_training_record(path: Path) -> TrainingRecord:
    """Checkpoint -> the record in its metadata; UserError where there is none."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} is not a readable .safetensors file: {error}") from error
    if METADATA_KEY not in metadata:
        raise UserError(f"{path} carries no training record; write it with mgdn train")
    return msgspec.json.decode(metadata[METADATA_KEY], type=TrainingRecord)
