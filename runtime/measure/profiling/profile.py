"""profile_network: where the milliseconds of one network on one machine go.

Two sessions fuse the same frames in turns: one as it always runs, one with the runtime's profiler.
The first says how long a frame truly takes, the second which kernels take it; what profiling adds
is in the open. Everything else (load, clocks) meets both alike.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.bundle.graph_facts import GraphFacts, decode_graph_facts
from mgdn_edge.runtime.bundle.network_names import find_bundle
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backend_table import open_variant
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import BACKEND, start_variant, usable_cpus
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice
from mgdn_edge.runtime.fusion.contract.variant_choice import choose_variant
from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.machine.conditions import read_conditions
from mgdn_edge.runtime.machine.power import EnergyMeter
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.measure_ceilings import measure_ceilings
from mgdn_edge.runtime.measure.profiling.advice import advise
from mgdn_edge.runtime.measure.profiling.join_timeline import join_timeline
from mgdn_edge.runtime.measure.profiling.onnxruntime_trace import read_trace
from mgdn_edge.runtime.measure.profiling.profile_result import (
    SCHEMA,
    Account,
    PartFigures,
    ProfileReport,
    ProfileResult,
    group_modules,
    group_parts,
)
from mgdn_edge.runtime.measure.profiling.profiler_cost import measure_profiler_cost
from mgdn_edge.runtime.measure.profiling.roofline import measure_part
from mgdn_edge.runtime.measure.profiling.timeline import Timeline
from mgdn_edge.runtime.measure.timing_loop import TimingLoop, draw_pairs, fuse_pairs
from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.stream.latency import Percentiles, percentiles
from mgdn_edge.runtime.stream.ledger import span_ns

WARMUP = 5
# The ledger's stages that a session alone has, and all of them together.
STAGES = ("copy_in", "infer_wait", "infer", "writer_wait", "copy_out")
FUSE = "fuse"


def profile_network(
    network: str | Path,
    choice: SessionChoice = DEFAULT_CHOICE,
    *,
    size: Size = (480, 640),
    frames: int = 60,
    progress: Progress = SILENT,
) -> ProfileResult:
    """Fuse ``frames`` drawn frames of ``size`` (height, width) twice each -> ProfileResult.

    ``choice`` as in ``open_session``, but for the CPU alone, whose profiler is read.
    UserError where the network is a baseline,
    which has no graph, or anything asked for is not to be had.
    """
    found = find_bundle(network)
    if frames < 1:
        raise UserError(f"--frames {frames} measures nothing; give --frames 1 or more")
    if choice.backend not in (None, BACKEND):
        raise UserError(
            f"a profile is read from ONNX Runtime's profiler on the CPU, not on {choice.backend}; "
            f"to time it as a whole: mgdn bench --backend {choice.backend}"
        )
    pairs = draw_pairs(size)
    with ExitStack() as opened:
        bundle = opened.enter_context(open_bundle(found))
        chosen = choose_variant(
            bundle.manifest, variant=choice.variant, precision=choice.precision, size=size
        )
        facts = decode_graph_facts(bundle.read_graph_facts())
        progress.begin("opening")
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="mgdn-profile-"))
        plain = open_variant(bundle, chosen, choice).trust()
        opened.enter_context(plain)
        trace = Path(folder) / "trace"
        profiled = start_variant(
            bundle, chosen, threads=choice.threads, filter=choice.filter, trace=trace
        )
        opened.enter_context(profiled)
        progress.begin("measuring the machine")
        ceilings = measure_ceilings(choice.threads)
        cost = measure_profiler_cost(ceilings.threads)
        before = read_conditions()
        # Each goes first in every other turn: what the first leaves in the caches.
        loop = TimingLoop([fuse_pairs(each, pairs) for each in (plain, profiled)], swapping=True)
        progress.begin("frames", frames)
        loop.warm_up(WARMUP)
        with EnergyMeter() as meter:
            for _ in loop.take_turns(frames):
                progress.advance()
        after = read_conditions()
        progress.begin("reading the profile")
        plain_ns, calls_ns = (span_ns(loop.rows(index), "infer") for index in (0, 1))
        keep = middle_half(plain_ns + calls_ns)
        trace_text = profiled.end_trace().read_bytes()
        timeline = read_trace(trace_text, [WARMUP + i for i in keep], cost)
        parts = figure_parts(timeline, facts, size, ceilings)
        result = ProfileReport(
            schema=SCHEMA,
            network=plain.network,
            backend=BACKEND,
            variant=plain.variant,
            precision=plain.precision,
            filter_implementation=plain.filter_implementation,
            size=f"{size[1]}x{size[0]}",
            facts_size=f"{facts.width}x{facts.height}",
            threads=ceilings.threads,
            usable_cpus=usable_cpus(),
            frames=frames,
            account=balance(timeline, plain_ns[keep], calls_ns[keep], parts),
            stages=measure_session_stages(loop.rows()),
            inside=split_adapter(parts, facts),
            parts=parts,
            modules=group_modules(parts),
            operators=group_parts(parts, lambda part: part.operator),
            ceilings=ceilings,
            conditions=(before, after),
            energy=meter.energy,
            versions=installed_versions(),
        )
        result = msgspec.structs.replace(result, advice=advise(result))
    return ProfileResult(result, plain_ns)


def figure_parts(
    timeline: Timeline, facts: GraphFacts, size: Size, ceilings: Ceilings
) -> list[PartFigures]:
    """A backend's kernels at ``size`` (height, width) -> figures of the parts they compute."""
    pixels = size[0] * size[1] / (facts.height * facts.width)
    parts = join_timeline(timeline, facts)
    return [measure_part(part, max(1.0, timeline.total_ns), ceilings, pixels) for part in parts]


def middle_half(times_ns: npt.NDArray[np.int64]) -> list[int]:
    """(N,) durations -> indices of those between the quartiles: slow frames do not move a mean."""
    order = np.argsort(times_ns, kind="stable")
    quarter = len(order) // 4
    return sorted(int(i) for i in order[quarter : len(order) - quarter])


def balance(
    timeline: Timeline,
    plain_ns: npt.NDArray[np.int64],
    calls_ns: npt.NDArray[np.int64],
    parts: list[PartFigures],
) -> Account:
    """What the profile adds up to, beside the same frames fused without the profiler.

    ``plain_ns`` and ``calls_ns`` (N,) are the frames of ``timeline``, timed from outside without
    and with it; what the latter have beyond the profile is the call.
    """
    measured = float(plain_ns.mean())
    call = max(0.0, float(calls_ns.mean()) - timeline.total_ns - timeline.profiler_ns)
    unknown = sum(part.ms for part in parts if part.how == "unknown")
    total = timeline.total_ns + call
    return Account(
        kernels_ms=round(timeline.kernels_ns / 1e6, 4),
        between_ms=round(timeline.between_ns / 1e6, 4),
        session_ms=round(timeline.session_ns / 1e6, 4),
        call_ms=round(call / 1e6, 4),
        sum_ms=round(total / 1e6, 4),
        profiler_ms=round(timeline.profiler_ns / 1e6, 4),
        measured_ms=round(measured / 1e6, 4),
        of_measured=round(total / measured, 4),
        # Kernels of a few pixels take no more than the profiler itself, which leaves zero.
        unknown_share=round(unknown / max(timeline.kernels_ns / 1e6, 1e-6), 4),
    )


def measure_session_stages(rows: npt.NDArray[np.void]) -> dict[str, Percentiles]:
    """(N,) ledger rows of warm frames -> percentiles of a session's stages and of all, ``fuse``."""
    found = {name: percentiles(span_ns(rows, name), 0) for name in STAGES}
    return {**found, FUSE: percentiles(rows["copied_out_ns"] - rows["aligned_ns"], 0)}


def split_adapter(parts: list[PartFigures], facts: GraphFacts) -> dict[str, float]:
    """Milliseconds of kernels before the network's first node, of the network, and after it.

    What has no module adapts uint8 luma to the network and back; an exporter's nodes without a
    module among the network's own count as the network. Parts without a node count by their time.
    """
    place = {node.name: i for i, node in enumerate(facts.nodes)}
    core = [i for i, node in enumerate(facts.nodes) if node.module]
    first, last = (core[0], core[-1]) if core else (0, len(facts.nodes))
    split = {"frame to network": 0.0, "network": 0.0, "network to frame": 0.0}
    inner = [i for i, part in enumerate(parts) if part.module] or [0, len(parts)]
    for i, part in enumerate(parts):
        at = [place[name] for name in part.nodes]
        before = max(at) < first if at else i < inner[0]
        after = min(at) > last if at else i > inner[-1]
        key = "frame to network" if before else "network to frame" if after else "network"
        split[key] += part.ms
    return {name: round(ms, 4) for name, ms in split.items()}
