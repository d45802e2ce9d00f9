"""``check_export``: do the ONNX files compute what torch computes, and where do they part?

The torch side is rebuilt from the checkpoint, whose digest must be the one the export records,
so the two sides share nothing but the weights.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from mgdn_edge.export.checkpoint import file_digest
from mgdn_edge.export.frame_network import FrameNetwork, PaddedNetwork, core_input
from mgdn_edge.export.network_catalogue import PACKAGED, LoadedNetwork, load_network
from mgdn_edge.export.node_parity import NodeParity, compare_nodes
from mgdn_edge.runtime.bundle.export_record import ExportRecord, read_export_record
from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec, Stream
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.pairing.recordings import FramePair
from mgdn_edge.runtime.quality.parity import Parity, measure_parity

CORE_TOLERANCE = (
    1e-5  # of black to white: float32 sums in another order; measured 7e-7 on the mff weights
)
FRAME_TOLERANCE = 1.0  # levels of 255: a value on a rounding boundary may fall either way

Array = npt.NDArray[np.generic]


class CheckRow(msgspec.Struct, frozen=True):
    """One frame through one graph: ``graph`` is its file, ``backend`` what ran it."""

    frame: str
    graph: str
    backend: str
    parity: Parity


class CheckReport(msgspec.Struct, frozen=True):
    """All rows; ``first_diverging`` names the first node beyond tolerance, where one failed.

    ``nodes`` is empty unless asked for or a row failed.
    """

    rows: tuple[CheckRow, ...]
    nodes: tuple[NodeParity, ...]
    first_diverging: str | None
    passed: bool


def check_export(
    folder: Path,
    frames: Iterable[FramePair],
    *,
    checkpoint: Path | None = None,
    nodes: bool = False,
    sessions: Sequence[Session] = (),
    progress: Progress = SILENT,
    on_compared: Callable[[CheckRow, Array, Array], None] = lambda row, got, wanted: None,
) -> CheckReport:
    """Export folder and frame pairs -> parity of every graph that takes the frame's size.

    Compares torch with ONNX Runtime on the core graph (float32, 0..1) and each frame graph
    (uint8 levels), and with any further ``sessions`` (other backends, opened bundles) on the
    frame. With ``nodes`` or on failure the frame graph is compared node by node on the first
    frame that failed, or on the first frame. ``on_compared`` gets each row with what was got
    and what was wanted. Raises UserError for unusable input.
    """
    record = read_export_record(folder)
    loaded = load_recorded(record, checkpoint)
    rows: list[CheckRow] = []
    suspect: FramePair | None = None
    for frame in frames:
        progress.begin(f"frame {frame[0]}")
        added = check_frame(folder, record, loaded, frame, sessions, on_compared)
        rows += added
        if suspect is None and (nodes or not all(row.parity.passed for row in added)):
            suspect = frame
    if not rows:
        raise UserError("no frame was given to check; pass a visible and an infrared image")
    passed = all(row.parity.passed for row in rows)
    table: list[NodeParity] = []
    if suspect is not None:
        progress.begin(f"nodes of frame {suspect[0]}")
        table = compare_nodes(folder / core_file(record), loaded, core_images(loaded, suspect))
    first = next((node.name for node in table if not node.passed), None)
    return CheckReport(tuple(rows), tuple(table), first, passed)


def load_recorded(record: ExportRecord, checkpoint: Path | None) -> LoadedNetwork:
    """The network an export was made from; UserError if ``checkpoint`` is another file."""
    packaged = PACKAGED.get(record.variant)
    if checkpoint is None and packaged is not None and record.weights.file == packaged.name:
        checkpoint = packaged
    if checkpoint is None:
        raise UserError(
            f"the weights are needed for the torch side; add --checkpoint {record.weights.file}"
        )
    release = record.fusion_spec.pad_rule == "release"
    loaded = load_network(record.variant, checkpoint, release, record.fusion_spec.output_range)
    if file_digest(checkpoint) != record.weights.sha256:
        raise UserError(
            f"{checkpoint} is not the file this export was made from "
            f"({record.weights.file}, sha256 {record.weights.sha256[:12]}…); give that one"
        )
    return loaded


def check_frame(
    folder: Path,
    record: ExportRecord,
    loaded: LoadedNetwork,
    frame: FramePair,
    sessions: Sequence[Session],
    on_compared: Callable[[CheckRow, Array, Array], None],
) -> list[CheckRow]:
    """One frame pair through torch and through every graph that takes its size."""
    rows: list[CheckRow] = []

    def compare(graph: str, backend: str, got: Array, wanted: Array, parity: Parity) -> None:
        rows.append(CheckRow(name, graph, backend, parity))
        on_compared(rows[-1], got, wanted)

    name, visible, infrared = frame
    core = core_file(record)
    images = core_images(loaded, frame)
    with torch.no_grad():
        wanted = PaddedNetwork(loaded.core, loaded.spec)(*map(torch.from_numpy, images)).numpy()
    feed = {key: image for (key, _), image in zip(loaded.inputs, images, strict=True)}
    got = run_graph(folder / core, feed)
    compare(core, "onnxruntime-cpu", got, wanted, float_parity(got, wanted, loaded.spec))
    if not loaded.fuses:
        return rows
    with torch.no_grad():
        planes = (torch.from_numpy(plane)[None, None] for plane in (visible, infrared))
        fused = FrameNetwork(loaded.core, loaded.spec)(*planes).numpy()[0, 0]
    for model in record.models:
        if (model.height, model.width) not in ((None, None), visible.shape):
            continue
        planes_in = {"visible": visible[None, None], "infrared": infrared[None, None]}
        output = run_graph(folder / model.file, planes_in)[0, 0]
        parity = level_parity(output, fused)
        compare(model.file, "onnxruntime-cpu", output, fused, parity)
    for session in sessions:
        label = f"{session.network} {session.variant} {session.precision}"
        output = session.fuse(visible, infrared)
        compare(label, session.backend, output, fused, level_parity(output, fused))
    return rows


def core_images(loaded: LoadedNetwork, frame: FramePair) -> list[npt.NDArray[np.float32]]:
    """Frame pair -> (1, C_i, H, W) float32 input of each stream of the core graph.

    Networks that do not fuse luma planes get visible and infrared in turn, repeated to their
    channels: values to compare on, not a meaningful picture.
    """
    _, visible, infrared = frame
    if loaded.fuses:
        streams = loaded.spec.inputs
        tensors: dict[Stream, torch.Tensor] = {
            "visible": torch.from_numpy(visible)[None, None],
            "infrared": torch.from_numpy(infrared)[None, None],
        }
        inputs = [core_input(tensors, each) for each in streams]
        return [np.ascontiguousarray(image.numpy()) for image in inputs]
    turns = [visible, infrared, visible]
    return [
        np.repeat(plane[None, None].astype(np.float32) / np.float32(255), channels, axis=1)
        for plane, (_, channels) in zip(turns, loaded.inputs, strict=False)
    ]


def core_file(record: ExportRecord) -> str:
    """The core graph with its function bodies."""
    return record.core_files[0]


def run_graph(path: Path, feed: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    """ONNX file and named inputs -> its one output, on ONNX Runtime's CPU provider."""
    import onnxruntime

    session = load_graph(path.read_bytes(), str(path), onnxruntime.SessionOptions())
    output: npt.NDArray[np.generic] = session.run(None, dict(feed))[0]
    return output


def float_parity(got: Array, wanted: Array, spec: FusionSpec) -> Parity:
    """(1, C, H, W) float32 of a core graph, twice -> Parity over the channels as one image."""
    flat = (-1, wanted.shape[-1])
    span = 1.0 if spec.output is msgspec.UNSET else 1 / spec.output.std
    return measure_parity(
        got.reshape(flat), wanted.reshape(flat), data_range=span, tolerance=CORE_TOLERANCE * span
    )


def level_parity(got: npt.NDArray[np.generic], wanted: npt.NDArray[np.generic]) -> Parity:
    """(H, W) uint8, twice -> Parity in levels of 255."""
    return measure_parity(got, wanted, data_range=255.0, tolerance=FRAME_TOLERANCE)
