"""``bench_published``: a network as published in eager PyTorch beside its ONNX file here."""

import tempfile
from pathlib import Path

import msgspec
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.turns import Contender, TurnFigures, Work, take_turns
from mgdn_edge.runtime.picture.frame import Size

SCHEMA = "mgdn.bench-published/1"
PUBLISHED, OURS = "published, eager PyTorch", "ONNX Runtime, native filter"
SEED = 20260401


class Formulation(msgspec.Struct, frozen=True):
    """Median milliseconds a frame, the process's peak memory, published time over this one."""

    name: str
    wall_ms: float | None
    cpu_ms: float | None
    peak_mib: float | None
    times_faster: float | None
    failure: str | None


class PublishedReport(msgspec.Struct, frozen=True):
    """Both formulations on the same frames, in turns."""

    schema: str
    variant: str
    size: str
    threads: int
    frames: int
    formulations: list[Formulation]
    versions: dict[str, str]


def bench_published(
    variant: str,
    checkpoint: Path | None,
    *,
    size: Size,
    threads: int,
    frames: int = 4,
    progress: Progress = SILENT,
) -> PublishedReport:
    """Time ``variant`` (mff or mef) on ``size`` frames; without a checkpoint on drawn weights.

    Speed does not depend on the weights' values. Raises UserError.
    """
    from mgdn_edge.export.export_network import export_network
    from mgdn_edge.export.network_catalogue import FUSING

    if variant not in FUSING:
        raise UserError(f"{variant} does not fuse two luma planes; take {' or '.join(FUSING)}")
    with tempfile.TemporaryDirectory() as folder:
        weights = checkpoint or draw_weights(variant, Path(folder) / "weights.safetensors")
        export_network(
            variant, Path(folder) / "export", checkpoint=weights, sizes=[size], progress=progress
        )
        model = Path(folder) / "export" / "models" / f"{size[1]}x{size[0]}.onnx"
        progress.begin("timing", 2 * (frames + 1))
        figures = take_turns(
            [
                Contender(PUBLISHED, prepare_published, (variant, weights, size, threads)),
                Contender(OURS, prepare_onnx, (model, size, threads)),
            ],
            rounds=frames,
            progress=progress,
        )
    return PublishedReport(
        SCHEMA,
        variant,
        f"{size[1]}x{size[0]}",
        threads,
        frames,
        _formulations(figures),
        installed_versions(),
    )


def draw_weights(variant: str, path: Path) -> Path:
    """A weight file of ``variant`` with every published tensor, at torch's own start."""
    import torch
    from safetensors.torch import save_file

    from mgdn_edge.export.checkpoint import known_unread
    from mgdn_edge.export.networks.mgdn import MGDN, VARIANTS
    from mgdn_edge.export.networks.window_attention import relative_position_index

    torch.manual_seed(SEED)
    tensors = MGDN(VARIANTS[variant]).state_dict()
    for name, shape in known_unread(variant).items():
        index = name.endswith("relative_position_index")
        window = VARIANTS[variant].window
        tensors[name] = relative_position_index(window) if index else torch.zeros(shape)
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, path)
    return path


def prepare_published(variant: str, checkpoint: Path, size: Size, threads: int) -> Work:
    """The frame graph in eager PyTorch, filters as published."""
    import torch

    from mgdn_edge.export.frame_network import FrameNetwork
    from mgdn_edge.export.network_catalogue import load_network
    from mgdn_edge.export.published_filter import published_formulation

    torch.set_num_threads(threads)
    loaded = load_network(variant, checkpoint, release_padding=False)
    network = FrameNetwork(loaded.core, loaded.spec).eval()
    visible, infrared = (torch.from_numpy(plane)[None, None] for plane in _planes(size))

    def run() -> None:
        with torch.inference_mode(), published_formulation():
            network(visible, infrared)

    return run


def prepare_onnx(model: Path, size: Size, threads: int) -> Work:
    """The exported frame graph in ONNX Runtime, as ``mgdn fuse`` runs it."""
    from mgdn_edge.plugins.native import find_library, load_library
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import session_options
    from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph

    load_library()
    options = session_options(threads)
    options.register_custom_ops_library(str(find_library()))
    session = load_graph(model.read_bytes(), str(model), options)
    visible, infrared = _planes(size)
    feed = {"visible": visible[None, None], "infrared": infrared[None, None]}

    def run() -> None:
        session.run(None, feed)

    return run


def _planes(size: Size) -> tuple[np.ndarray, np.ndarray]:
    from mgdn_edge.runtime.measure.timing_loop import draw_pair

    return draw_pair(size, SEED)


def _formulations(figures: list[TurnFigures]) -> list[Formulation]:
    wall = {each.name: float(np.median(each.wall_ns)) / 1e6 for each in figures if not each.failure}
    return [
        Formulation(
            each.name,
            None if each.failure else round(wall[each.name], 1),
            None if each.failure else round(float(np.median(each.cpu_ns)) / 1e6, 1),
            None if each.failure else round(each.peak_bytes / 2**20, 1),
            round(wall[PUBLISHED] / wall[each.name], 2)
            if PUBLISHED in wall and each.name in wall
            else None,
            each.failure,
        )
        for each in figures
    ]
