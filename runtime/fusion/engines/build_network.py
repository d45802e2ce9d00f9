"""ONNX bytes -> serialized engine, with any builder that speaks TensorRT's Python API.

Rules:
1. The plugin is registered before a parser exists: a parser that meets an unknown node fails, and
   some versions end the process.
2. The network is strongly typed: types, casts and Q/DQ are those in the file. TensorRT 11 knows
   nothing else and ignores the flag (TensorRT 11.0 documentation, NetworkDefinitionCreationFlag).
3. An engine takes frames of one size: the file's own, or a profile that allows only that one.
4. float32 is computed as float32: TF32, on by default, is off unless asked for.
5. Nothing is decided from a version number: what a module lacks is left out and noted.
6. Parser, model, logger and monitor live until the engine is made: the network uses the parser's
   weights, the builder calls the others, and neither keeps them alive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from mgdn_edge.runtime.fusion.engines.build_protocol import (
    ENGINE_FILE,
    KNOWN_TIMINGS_FILE,
    MODEL_FILE,
    NEW_TIMINGS_FILE,
    BuildEvent,
    BuildRequest,
    Built,
    Logged,
    PhaseBegun,
    PhaseEnded,
    StageBegun,
    StepDone,
)

INPUTS = ("visible", "infrared")
OUTPUT = "fused"
TellEvent = Callable[[BuildEvent], None]


class BuildError(Exception):
    """Why there is no engine, as one clause without an end."""


def build_engine(trt: ModuleType, request: BuildRequest, folder: Path, report: TellEvent) -> None:
    """Build what ``request`` asks for from and into ``folder``; BuildError where that fails.

    ``trt`` is the imported builder module; build_protocol names the files. ``report`` may be
    called from the builder's threads.
    """
    started = time.monotonic()
    notes = []
    if request.plugin:
        report(StageBegun("loading the plugin"))
        _load_plugin(trt, request)
    logger = _make_logger(trt, report)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    report(StageBegun("parsing"))
    model = (folder / MODEL_FILE).read_bytes()
    parser = trt.OnnxParser(network, logger)
    _parse(parser, model)
    _check_interface(trt, network)
    config = _configure(trt, builder, network, request)
    if hasattr(trt, "IProgressMonitor"):
        monitor = _make_monitor(trt, report)
        config.progress_monitor = monitor
    else:
        notes.append("this builder reports no progress")
    notes += _set_timings(config, (folder / KNOWN_TIMINGS_FILE).read_bytes())
    report(StageBegun("building"))
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BuildError(
            f"the builder made no engine: {(logger.errors or ['it gave no reason'])[0]}"
        )
    report(StageBegun("saving"))
    (folder / ENGINE_FILE).write_bytes(memoryview(engine))
    timings = config.get_timing_cache()
    if timings is not None:
        (folder / NEW_TIMINGS_FILE).write_bytes(memoryview(timings.serialize()))
    report(Built(network.num_layers, time.monotonic() - started, tuple(notes)))


def _load_plugin(trt: ModuleType, request: BuildRequest) -> None:
    # Only where needed: numpy comes with it, and doubles the time a build process takes to start.
    from mgdn_edge.plugins.tensorrt_plugin import Tensorrt, TensorrtPluginError, load_plugin

    try:
        # A module has what the protocol asks for; mypy cannot see into it.
        load_plugin(cast(Tensorrt, trt), Path(request.plugin), request.plugin_sha256)
    except TensorrtPluginError as error:
        raise BuildError(str(error)) from error


def _parse(parser: Any, model: bytes) -> None:  # noqa: ANN401
    if parser.parse(model):
        return
    errors = [parser.get_error(number) for number in range(parser.num_errors)]
    if not errors:
        raise BuildError("the parser refused the model without a reason")
    first = errors[0]
    where = f" at node {first.node_name()} ({first.node_operator()})" if first.node_name() else ""
    # What follows a line break are the same words from deeper inside.
    message = first.desc().strip().partition("\n")[0]
    raise BuildError(f"the parser refused the model{where}: {message}")


def _check_interface(trt: ModuleType, network: Any) -> None:  # noqa: ANN401
    """(1, 1, H, W) uint8 planes in and out, as every frame graph has."""
    inputs = [network.get_input(number) for number in range(network.num_inputs)]
    outputs = [network.get_output(number) for number in range(network.num_outputs)]
    found = [(tensor.name, tensor.dtype, tuple(tensor.shape)[:2]) for tensor in inputs + outputs]
    wanted = [(name, trt.DataType.UINT8, (1, 1)) for name in (*INPUTS, OUTPUT)]
    if sorted(found, key=str) != sorted(wanted, key=str):
        shown = ", ".join(f"{name} {kind} {list(sides)}" for name, kind, sides in found)
        raise BuildError(f"the model is not a frame graph; it has {shown or 'no tensors'}")


def _configure(trt: ModuleType, builder: Any, network: Any, request: BuildRequest) -> Any:  # noqa: ANN401
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace_bytes)
    config.builder_optimization_level = request.optimization_level
    if not request.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    # Layers keep their node's names and formats, which profiles are joined by.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    sides = (request.height, request.width)
    inputs = [network.get_input(number) for number in range(network.num_inputs)]
    fixed = [tuple(tensor.shape)[2:] for tensor in inputs]
    if all(-1 not in shape for shape in fixed):
        if any(shape != sides for shape in fixed):
            raise BuildError(f"the model takes {fixed[0]} but frames of {sides} are wanted")
        return config
    profile = builder.create_optimization_profile()
    for tensor in inputs:
        profile.set_shape(tensor.name, *[(1, 1, *sides)] * 3)
    if config.add_optimization_profile(profile) < 0:
        raise BuildError(f"the builder does not take frames of {request.width}x{request.height}")
    return config


def _set_timings(config: Any, known: bytes) -> list[str]:  # noqa: ANN401
    """Times of another build are taken where they fit; others are not an error."""
    timings = config.create_timing_cache(known)
    if timings is not None and config.set_timing_cache(timings, ignore_mismatch=False):
        return []
    config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    return ["the timing cache is of another device or version: every tactic is timed again"]


def _make_logger(trt: ModuleType, report: TellEvent) -> Any:  # noqa: ANN401
    base: Any = trt.ILogger

    class ReportingLogger(base):  # type: ignore[misc]
        """Warnings and worse become events; the rest is for debugging TensorRT itself."""

        def __init__(self) -> None:
            base.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            if int(severity) <= int(base.Severity.WARNING):
                report(Logged(severity.name, message))
            if int(severity) <= int(base.Severity.ERROR):
                self.errors.append(message)

    return ReportingLogger()


def _make_monitor(trt: ModuleType, report: TellEvent) -> Any:  # noqa: ANN401
    base: Any = trt.IProgressMonitor

    class ReportingMonitor(base):  # type: ignore[misc]
        """The builder's phases become events; called from several of its threads."""

        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            report(PhaseBegun(phase_name, parent_phase or "", num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            report(StepDone(phase_name, step))
            return True

        def phase_finish(self, phase_name: str) -> None:
            report(PhaseEnded(phase_name))

    return ReportingMonitor()
