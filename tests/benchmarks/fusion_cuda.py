"""Time fusion on the first GPU: ONNX Runtime CUDA beside the published code in eager PyTorch.

    python tests/benchmarks/fusion_cuda.py [--networks edge ir mff] [--sizes 640x480 1280x720]
        [--frames 200] [--fp16 FOLDER] [--checkpoint FILE] [--json FILE]

Both take turns, frame by frame, so that clocks and temperature are the same for both. "fuse" is a
frame from host memory to host memory, "network" the GPU's own time of the network alone; eager
PyTorch's frame begins and ends on the GPU, which favours it. FP16 of PyTorch is its autocast; of
ours, ONNX files NETWORK-WIDTHxHEIGHT.onnx of --fp16. mff without --checkpoint has drawn weights:
speed does not depend on their values. Prints a Markdown table with machine and versions.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import torch

from mgdn_edge.export.bench_published import draw_weights
from mgdn_edge.export.export_network import export_network
from mgdn_edge.export.frame_network import FrameNetwork
from mgdn_edge.export.network_catalogue import PACKAGED, LoadedNetwork, load_network
from mgdn_edge.export.published_filter import published_formulation
from mgdn_edge.runtime.commands.options import parse_size
from mgdn_edge.runtime.fusion.backends.onnxruntime_cuda import OnnxRuntimeCudaSession
from mgdn_edge.runtime.machine.environment import describe_environment
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.timing_loop import SEED, TimingLoop, draw_pair, time_call
from mgdn_edge.runtime.stream.latency import Percentiles

WARMUP = 20
PRECISIONS = ("fp32", "fp16")
NETWORKS = ("edge", "ir", "mff")
Work = Callable[[], float]


class Row(msgspec.Struct):
    """Milliseconds; ``ratio`` is PyTorch's median over this one's, of the same precision."""

    network: str
    size: str
    precision: str
    formulation: str
    fuse: Percentiles
    network_ms: float
    ratio: float
    execution: dict[str, str]


class Contender(NamedTuple):
    name: str
    run: Work  # one frame; returns the GPU's milliseconds of the network
    execution: dict[str, str]


def prepare_eager(loaded, size, precision: str, device: str) -> Contender:
    """The frame graph in eager PyTorch; filters as published where the network is."""
    published = loaded.network != "mgdn-edge"  # whose filters no published code computes
    formulation = published_formulation if published else nullcontext
    network = FrameNetwork(loaded.core, loaded.spec).eval().to(device)
    planes = [torch.from_numpy(plane)[None, None].to(device) for plane in draw_pair(size, SEED)]
    half = torch.autocast(device, torch.float16, enabled=precision == "fp16")

    def run() -> float:
        begin = time.perf_counter_ns()
        with torch.inference_mode(), formulation(), half:
            network(*planes)
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter_ns() - begin) / 1e6

    name = "published, eager PyTorch" if published else "eager PyTorch"
    return Contender(name, run, {"device": device})


def prepare_session(session: OnnxRuntimeCudaSession, size) -> Contender:
    """A session's frame through a slot, as a stream fuses it."""
    visible, infrared = draw_pair(size, SEED)

    def run() -> float:
        with session.acquire(size) as slot:
            slot.visible[...], slot.infrared[...] = visible, infrared
            session.submit(slot)
            session.collect(slot)
            return session.device_times(slot).infer

    return Contender("mgdn, ONNX Runtime CUDA", run, session.execution)


def take_turns(contenders: list[Contender], frames: int) -> Iterator[tuple[Percentiles, float]]:
    """(figures of whole frames, median of the network alone) of each, frames in turns."""
    alone: list[list[float]] = [[] for _ in contenders]
    runs = [
        time_call(lambda run=each.run, network=network: network.append(run()))
        for each, network in zip(contenders, alone, strict=True)
    ]
    loop = TimingLoop(runs)
    loop.warm_up(WARMUP)
    for _ in loop.take_turns(frames):
        pass
    for index, network in enumerate(alone):
        yield loop.figures(index), float(np.median(network[WARMUP:]))


def export_models(
    variant: str, size, checkpoint: Path | None, fp16: Path | None, folder: Path
) -> tuple[LoadedNetwork, dict[str, Path]]:
    """The network in PyTorch, and its ONNX files by precision, those that there are."""
    if checkpoint is None and variant not in PACKAGED:
        checkpoint = draw_weights(variant, folder / "weights.safetensors")
    export_network(variant, folder / "export", checkpoint=checkpoint, sizes=[size])
    name = f"{size[1]}x{size[0]}"
    models = {"fp32": folder / "export" / "models" / f"{name}.onnx"}
    if fp16 is not None:
        models["fp16"] = fp16 / f"{variant}-{name}.onnx"
    found = {precision: path for precision, path in models.items() if path.is_file()}
    return load_network(variant, checkpoint, release_padding=False), found


def compare(
    loaded: LoadedNetwork,
    models: dict[str, Path],
    size,
    frames: int,
    device: str,
    precisions: Sequence[str] = PRECISIONS,
) -> list[Row]:
    """The rows of one network at one size, each precision in one go."""
    name, rows = f"{size[1]}x{size[0]}", []
    for precision in precisions:
        with ExitStack() as opened:
            contenders = [prepare_eager(loaded, size, precision, device)]
            if precision in models:
                session = opened.enter_context(
                    OnnxRuntimeCudaSession(
                        models[precision].read_bytes(), spec=loaded.spec, variant=name,
                        precision=precision, size=size,
                    )
                )  # fmt: skip
                contenders.append(prepare_session(session, size))
            figures = list(take_turns(contenders, frames))
        for contender, (fuse, alone) in zip(contenders, figures, strict=True):
            ratio = round(figures[0][0].p50 / fuse.p50, 2)
            facts = (loaded.network, name, precision, contender.name)
            rows.append(Row(*facts, fuse, round(alone, 3), ratio, dict(contender.execution)))
    return rows


def print_rows(rows: list[Row]) -> None:
    print("| network | size | precision | formulation | p50 | p95 | p99 | network | faster |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        times = (row.fuse.p50, row.fuse.p95, row.fuse.p99, row.network_ms)
        told = " | ".join(f"{value:.2f}" for value in times)
        print(
            f"| {row.network} | {row.size} | {row.precision} | {row.formulation} | {told} "
            f"| {row.ratio:.1f}x |"
        )
    print(f"\nms, {rows[0].fuse.n} frames after {WARMUP} of warm-up, in turns.")
    for row in rows:
        for fact, told in row.execution.items():
            print(f"{row.network}, {row.size}, {row.precision}, {fact}: {told}")
    for fact, told in describe_environment(installed_versions(), {"torch": torch.__version__}):
        print(f"{fact}: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x720"])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--fp16", type=Path, help="folder of NETWORK-WIDTHxHEIGHT.onnx")
    parser.add_argument("--checkpoint", type=Path, help="the published mff weights")
    parser.add_argument("--json", type=Path, help="also write the rows")
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit(f"PyTorch {torch.__version__} finds no GPU; install its CUDA build")
    rows = []
    for variant in chosen.networks:
        checkpoint = chosen.checkpoint if variant == "mff" else None
        for size in map(parse_size, chosen.sizes):
            with tempfile.TemporaryDirectory() as folder:
                loaded, models = export_models(variant, size, checkpoint, chosen.fp16, Path(folder))
                rows += compare(loaded, models, size, chosen.frames, "cuda")
    print_rows(rows)
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.encode(rows))


if __name__ == "__main__":
    main()
