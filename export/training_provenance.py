"""From a training record in a checkpoint to the provenance a bundle carries."""

from pathlib import Path

import safetensors

from mgdn_edge.export.training_record import METADATA_KEY, TrainingRecord, read_training_record
from mgdn_edge.runtime.bundle.export_record import DataSource, TrainingProvenance


def training_provenance(checkpoint: Path) -> TrainingProvenance | None:
    """Checkpoint -> what it was trained on, or None for a file that carries no record."""
    if checkpoint.suffix != ".safetensors":
        return None
    with safetensors.safe_open(checkpoint, framework="pt") as file:
        if METADATA_KEY not in (file.metadata() or {}):
            return None
    return describe_record(read_training_record(checkpoint))


def describe_record(record: TrainingRecord) -> TrainingProvenance:
    """TrainingRecord -> data sets with their licences and file counts, and how it ran."""
    return TrainingProvenance(
        data=tuple(
            DataSource(
                name=name,
                licence=licence,
                items=sum(file.startswith(f"{name}/") for file in record.digests),
            )
            for name, licence in sorted(record.licences.items())
        ),
        command=_command(record),
        notes=(
            f"{record.parameters} parameters, {record.cpu_seconds:.0f} s of CPU time",
            *(f"fine-tuned, {name}: sha256 {digest}" for name, digest in record.tuning.items()),
            *record.notes,
            *(f"{name} {number}" for name, number in sorted(record.versions.items())),
        ),
    )


def _command(record: TrainingRecord) -> str:
    words = ["mgdn train"]
    if "name" in record.recipe:  # checkpoints from before recipes had names lack it
        words.append(f"--recipe {record.recipe['name']}")
    if record.minutes is None:
        words.append(f"--steps {record.steps}")
    else:
        words.append(f"--minutes {record.minutes:g}")
    words.append(f"--seed {record.seed}")
    if record.threads != 1:
        words.append(f"--threads {record.threads}")
    if record.device != "cpu":
        words.append(f"--device {record.device}")
    if record.tuning:
        words.append("--qat ranges.json")
    return " ".join(words)
