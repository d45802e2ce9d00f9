"""``export_network``: checkpoint -> a folder of ONNX files, graph facts and their record."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import onnx_ir as ir
import torch

from mgdn_edge import __version__
from mgdn_edge.export.checkpoint import file_digest
from mgdn_edge.export.export_folder import claim_export, staged_export
from mgdn_edge.export.fixed_size import fix_size
from mgdn_edge.export.frame_network import FrameNetwork, PaddedNetwork
from mgdn_edge.export.measure_graph_facts import measure_graph_facts
from mgdn_edge.export.network_catalogue import PACKAGED, LoadedNetwork, load_network
from mgdn_edge.export.onnx_graph import (
    FRAME_SIGNATURE,
    Signature,
    to_proto,
    trace_graph,
    without_bodies,
)
from mgdn_edge.export.tensorflow_checkpoint import checkpoint_files
from mgdn_edge.export.training_provenance import training_provenance
from mgdn_edge.runtime.bundle.export_record import (
    DYNAMIC_VARIANT,
    EXPORT_FILE,
    GRAPH_FILE,
    ExportedModel,
    ExportRecord,
    WeightsProvenance,
    encode_export_record,
)
from mgdn_edge.runtime.bundle.fusion_spec import METADATA_KEY, OutputRange, encode_spec
from mgdn_edge.runtime.bundle.graph_facts import encode_graph_facts
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.whole_file import Overwrite, write_whole

DEFAULT_SIZES: tuple[Size, ...] = ((480, 640), (512, 640))  # what thermal cores and boards use
CORE_FILE = "core.onnx"
CORE_OUTPUT = "fused"
LICENCE_UNKNOWN = "not stated"
TOOLS = ("torch", "onnx", "onnx-ir", "onnxscript")


def export_network(
    variant: str,
    output: Path,
    *,
    checkpoint: Path | None = None,
    release_padding: bool = False,
    output_range: OutputRange = "clip",
    sizes: Sequence[Size] = DEFAULT_SIZES,
    licence: str | None = None,
    notes: Sequence[str] = (),
    progress: Progress = SILENT,
    overwrite: Overwrite = False,
) -> ExportRecord:
    """Write the export folder ``output``, in place of an earlier export alone; returns its record.

    Every network gets its core graph (float32 images in, float32 image out, dynamic size).
    Those that fuse two luma planes also get the dynamic frame graph, a static one per size of
    ``sizes`` ((height, width) in pixels) and graph facts at the first size. Each graph comes
    with the function body of DynamicFilter and, as ``NAME.plugin.onnx``, without. ``progress``
    is told what is being done. The folder appears whole or not at all. Raises UserError.
    """
    inputs = [] if checkpoint is None else checkpoint_files(checkpoint)
    claimed = claim_export(output, inputs, overwrite)
    progress.begin("reading the checkpoint")
    loaded = load_network(variant, checkpoint, release_padding, output_range)
    weights = checkpoint or PACKAGED[variant]
    sha256 = file_digest(weights)
    with staged_export(claimed) as staging:
        progress.begin("tracing the core graph")
        write_graph(staging / CORE_FILE, trace_core(loaded), loaded)
        models = export_frames(loaded, staging, sizes, progress) if loaded.fuses else ()
        training = training_provenance(weights)
        record = ExportRecord(
            network=loaded.network,
            variant=variant,
            fusion_spec=loaded.spec,
            models=models,
            weights=WeightsProvenance(
                file=weights.name,
                sha256=sha256,
                licence=licence or ("Apache-2.0" if training else LICENCE_UNKNOWN),
                notes=tuple(notes),
            ),
            core_files=(CORE_FILE, plugin_name(CORE_FILE)),
            training=training,
            tools={"mgdn-edge": __version__} | {name: version(name) for name in TOOLS},
        )
        write_whole(staging / EXPORT_FILE, encode_export_record(record))
    return record


def trace_core(loaded: LoadedNetwork) -> ir.Model:
    """The core graph with the spec's padding, float32 in and out."""
    signature = Signature(loaded.inputs, torch.float32, CORE_OUTPUT)
    return trace_graph(PaddedNetwork(loaded.core, loaded.spec), signature)


def export_frames(
    loaded: LoadedNetwork, folder: Path, sizes: Sequence[Size], progress: Progress
) -> tuple[ExportedModel, ...]:
    """Write the frame graphs and graph facts of ``loaded`` under ``folder``."""
    (folder / "models").mkdir()
    progress.begin("tracing the frame graph")
    dynamic = trace_graph(FrameNetwork(loaded.core, loaded.spec), FRAME_SIGNATURE)
    models = [write_frame(folder, DYNAMIC_VARIANT, dynamic, loaded, None)]
    for position, (height, width) in enumerate(sizes):
        name = f"{width}x{height}"
        progress.begin(f"fixing the size {name}")
        fixed = fix_size(dynamic, height, width)
        models.append(write_frame(folder, name, fixed, loaded, (height, width)))
        if position == 0:
            facts = measure_graph_facts(to_proto(fixed, {}), loaded.network, loaded.variant)
            write_whole(folder / GRAPH_FILE, encode_graph_facts(facts))
    return tuple(models)


def write_frame(
    folder: Path, name: str, model: ir.Model, loaded: LoadedNetwork, size: Size | None
) -> ExportedModel:
    """One frame graph and its twin -> their entry in the record."""
    file = f"models/{name}.onnx"
    write_graph(folder / file, model, loaded)
    height, width = size or (None, None)
    return ExportedModel(name, file, plugin_name(file), height, width)


def write_graph(path: Path, model: ir.Model, loaded: LoadedNetwork) -> None:
    """Graph -> ``path`` with function bodies and its twin without them."""
    proto = to_proto(model, {METADATA_KEY: encode_spec(loaded.spec)})
    write_whole(path, proto.SerializeToString())
    twin = path.with_name(plugin_name(path.name))
    write_whole(twin, without_bodies(proto).SerializeToString())


def plugin_name(file: str) -> str:
    """File name of the twin: models/dynamic.onnx -> models/dynamic.plugin.onnx."""
    return file.removesuffix(".onnx") + ".plugin.onnx"
