"""ExportRecord: what ``mgdn export`` left in a folder, read by ``mgdn bundle create``.

DIR/export.json             this record
DIR/graph.json              GraphFacts of the frame graph
DIR/models/dynamic.onnx     frame graph, any size, DynamicFilter with its function body
DIR/models/dynamic.plugin.onnx   the same without the body, for TensorRT's parser
DIR/models/640x480.onnx     frame graph of one size (width x height), and so on
DIR/core.onnx               core graph, for parity; not put into bundles
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec
from mgdn_edge.runtime.errors import UserError

EXPORT_SCHEMA = 1
EXPORT_FILE = "export.json"
GRAPH_FILE = "graph.json"
DYNAMIC_VARIANT = "dynamic"

Precision = Literal["fp32", "fp16", "int8"]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Side = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class ExportedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One frame graph; files are relative to the folder, sides in pixels, null when dynamic."""

    name: str
    file: str
    file_without_body: str
    height: Side | None = None
    width: Side | None = None
    precision: Literal["fp32"] = "fp32"


class WeightsProvenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the weights came from: the file's name (no folder), its digest, its licence."""

    file: str
    sha256: Sha256
    licence: str
    notes: tuple[str, ...] = ()


class DataSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One data set used for training: ``licence`` is what its authors state, or "none stated"."""

    name: str
    licence: str
    items: int
    source: str = ""


class TrainingProvenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the weights were trained on, and the command that did it."""

    data: tuple[DataSource, ...]
    command: str = ""
    notes: tuple[str, ...] = ()


class ExportRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of ``export.json``.

    ``core_files`` (core.onnx and twins) serve parity checks and stay out of bundles; ``tools``
    maps a tool's name to its version ("torch": "2.9.0").
    """

    network: str
    variant: str
    fusion_spec: FusionSpec
    models: tuple[ExportedModel, ...]
    weights: WeightsProvenance
    core_files: tuple[str, ...] = ()
    training: TrainingProvenance | None = None
    tools: dict[str, str] = {}
    schema: int = EXPORT_SCHEMA


def list_export_files(record: ExportRecord) -> list[str]:
    """Every file an export of this record consists of, relative to its folder."""
    models = [file for model in record.models for file in (model.file, model.file_without_body)]
    return [EXPORT_FILE, GRAPH_FILE, *record.core_files, *models]


def encode_export_record(record: ExportRecord) -> bytes:
    """ExportRecord -> the indented JSON of ``export.json``, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(record, order="deterministic"), indent=1) + b"\n"


def read_export_record(folder: Path) -> ExportRecord:
    """``folder/export.json`` -> ExportRecord; UserError where it is missing or not one."""
    path = folder / EXPORT_FILE
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error.strerror}); a folder written by `mgdn export` is needed; "
            "run: mgdn export --variant mff --checkpoint FILE OUT"
        ) from error
    try:
        record = msgspec.json.decode(text, type=ExportRecord)
    except msgspec.DecodeError as error:
        raise UserError(
            f"{path} is not an export record ({error}); run `mgdn export` again"
        ) from error
    if record.schema != EXPORT_SCHEMA:
        raise UserError(
            f"{path} has schema {record.schema}; this version reads {EXPORT_SCHEMA}; "
            "run `mgdn export` again"
        )
    return record
