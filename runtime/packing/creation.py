"""Create a bundle from the folder ``mgdn export`` wrote; equal inputs give equal bytes."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from mgdn_edge.runtime.bundle.export_record import (
    GRAPH_FILE,
    list_export_files,
    read_export_record,
)
from mgdn_edge.runtime.bundle.graph_facts import decode_graph_facts
from mgdn_edge.runtime.bundle.manifest import MANIFEST_SCHEMA, Manifest, Provenance
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import BACKEND
from mgdn_edge.runtime.fusion.contract.variant_choice import static_size
from mgdn_edge.runtime.packing.bundle_writer import CREATED_BY, BundleWriter, tool_versions
from mgdn_edge.runtime.whole_file import Outputs, Overwrite

# FP32 kernels differ in summation order between processors by about 1e-6 of the range, which
# moves a value that lies on a rounding boundary by one level.
FP32_TOLERANCE_LEVELS = 1
WITHOUT_BODY_BACKENDS = ("tensorrt",)


def create_bundle(
    export_folder: Path,
    output: Path,
    *,
    name: str | None = None,
    licence: str | None = None,
    notes: Sequence[str] = (),
    quality: dict[str, float | str] | None = None,
    overwrite: Overwrite = False,
) -> Manifest:
    """Write ``output`` (.mgdn) from an export folder; returns its manifest.

    ``name`` defaults to the network's; ``licence`` replaces the weights' licence and ``notes``
    are added to theirs. Each variant fuses the golden scene on ONNX Runtime's CPU provider.
    UserError where a file is missing or no frame graph; then nothing is written.
    """
    record = read_export_record(export_folder)
    inputs = [export_folder / name for name in list_export_files(record)]
    claimed = Outputs(inputs, overwrite).claim(output, "OUT", ".mgdn")
    if not record.models:
        raise UserError(
            f"{export_folder} holds variant {record.variant}, which fuses no visible-infrared "
            "pair; only its core graph was exported, and a bundle needs frame graphs"
        )
    writer = BundleWriter(record.fusion_spec, {GRAPH_FILE: _read_graph(export_folder)})
    variants = tuple(
        writer.add_variant(
            model.name,
            _read_model(export_folder, model.file),
            _read_model(export_folder, model.file_without_body),
            name=model.name,
            size=static_size(model),
            precision=model.precision,
            backends=(BACKEND, *WITHOUT_BODY_BACKENDS) if static_size(model) else (BACKEND,),
            tolerance_levels=FP32_TOLERANCE_LEVELS,
        )
        for model in record.models
    )
    weights = msgspec.structs.replace(
        record.weights,
        licence=licence or record.weights.licence,
        notes=(*record.weights.notes, *notes),
    )
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        name=name or record.network,
        network=record.network,
        created_by=CREATED_BY,
        spec=record.fusion_spec,
        variants=variants,
        files=(writer.refer(GRAPH_FILE),),
        provenance=Provenance(
            weights=weights,
            training=record.training,
            calibration=None,
            tools=tool_versions(record.tools),
        ),
        quality=quality,
    )
    writer.write(claimed, manifest)
    return manifest


def _read_graph(folder: Path) -> bytes:
    data = _read_file(folder, GRAPH_FILE)
    try:
        decode_graph_facts(data)
    except msgspec.DecodeError as error:
        raise UserError(
            f"{folder / GRAPH_FILE} holds no graph facts ({error}); run `mgdn export` again"
        ) from error
    return data


def _read_model(folder: Path, name: str) -> bytes:
    """A graph of the folder; UserError with a line that writes it plainly where it is not so."""
    data = _read_file(folder, name)
    try:
        return rewrite_model(data, name)
    except UserError as error:
        path = str(folder.absolute() / name)
        normalise = f"m = onnx.load({path!r}); m.DiscardUnknownFields(); onnx.save(m, {path!r})"
        raise UserError(
            f'{error}; run `mgdn export` again, or: python -c "import onnx; {normalise}"'
        ) from error


def _read_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error.strerror}), which {folder / 'export.json'} lists; "
            "run `mgdn export` again"
        ) from error
