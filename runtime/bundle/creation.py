"""Create a bundle from the folder ``mgdn export`` wrote; equal inputs give equal bytes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from mgdn_edge import __version__
from mgdn_edge.runtime.backends.onnxruntime_cpu import BACKEND, OnnxRuntimeSession
from mgdn_edge.runtime.bundle.archive import encode_archive
from mgdn_edge.runtime.bundle.export_record import (
    GRAPH_FILE,
    ExportedModel,
    ExportRecord,
    list_export_files,
    read_export_record,
)
from mgdn_edge.runtime.bundle.golden_pair import encode_plane
from mgdn_edge.runtime.bundle.manifest import (
    MANIFEST_FILE,
    MANIFEST_SCHEMA,
    FileRef,
    GoldenPair,
    Manifest,
    Provenance,
    Variant,
    decode_manifest,
    encode_manifest,
)
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.golden import draw_scene
from mgdn_edge.runtime.graph_facts import decode_graph_facts
from mgdn_edge.runtime.onnx_file import rewrite_model
from mgdn_edge.runtime.whole_file import Outputs, Overwrite

# Odd on purpose: padding and cropping of a dynamic graph are part of what is checked.
DYNAMIC_GOLDEN_SIZE = (101, 131)
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
    files: dict[str, bytes] = {GRAPH_FILE: _read_graph(export_folder)}
    graph = (refer(files, GRAPH_FILE),)
    variants = tuple(_add_variant(export_folder, record, model, files) for model in record.models)
    weights = msgspec.structs.replace(
        record.weights,
        licence=licence or record.weights.licence,
        notes=(*record.weights.notes, *notes),
    )
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        name=name or record.network,
        network=record.network,
        created_by=f"mgdn-edge {__version__}",
        spec=record.fusion_spec,
        variants=variants,
        files=graph,
        provenance=Provenance(
            weights=weights,
            training=record.training,
            calibration=None,
            tools={**record.tools, "onnxruntime": onnxruntime_version()},
        ),
        quality=quality,
    )
    text = encode_manifest(manifest)
    decode_manifest(text)  # a bundle we would refuse to open is not written
    claimed.write(encode_archive({MANIFEST_FILE: text, **files}))
    return manifest


def _add_variant(
    folder: Path, record: ExportRecord, model: ExportedModel, files: dict[str, bytes]
) -> Variant:
    """Read one exported graph and fuse the golden scene with it; adds to ``files``."""
    size = None if model.height is None or model.width is None else (model.height, model.width)
    path, plugin_path = f"models/{model.name}.onnx", f"models/{model.name}.plugin.onnx"
    files[path] = _read_model(folder, model.file)
    files[plugin_path] = _read_model(folder, model.file_without_body)
    scene = draw_scene(*(size or DYNAMIC_GOLDEN_SIZE))
    with OnnxRuntimeSession(
        files[path], spec=record.fusion_spec, variant=model.name, size=size
    ) as session:
        fused = session.fuse(scene.visible, scene.infrared)
    images = {"visible": scene.visible, "infrared": scene.infrared, "expected": fused}
    refs = {}
    for role, plane in images.items():
        image_path = f"golden/{model.name}.{role}.png"
        files[image_path] = encode_plane(plane)
        refs[role] = refer(files, image_path)
    return Variant(
        name=model.name,
        file=refer(files, path),
        file_without_body=refer(files, plugin_path),
        height=model.height,
        width=model.width,
        precision=model.precision,
        backends=(BACKEND, *WITHOUT_BODY_BACKENDS) if size else (BACKEND,),
        golden=GoldenPair(**refs, tolerance_levels=FP32_TOLERANCE_LEVELS),
    )


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


def refer(files: Mapping[str, bytes], path: str) -> FileRef:
    """The reference to one of a bundle's ``files``, which maps paths to contents."""
    data = files[path]
    return FileRef(path=path, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def onnxruntime_version() -> str:
    """The version that fuses the golden pairs."""
    import onnxruntime

    return str(onnxruntime.__version__)
