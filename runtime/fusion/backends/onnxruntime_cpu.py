"""ONNX Runtime on the CPU: the default backend.

Session options were chosen by tests/benchmarks/onnxruntime_options.py; docs/LOG.md has figures.
"""

from __future__ import annotations

import os
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mgdn_edge.plugins.native import NativeLibraryError, find_library, load_library
from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec
from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import (
    FILTER_OPERATION,
    INPUTS,
    OUTPUT,
    check_interface,
    check_static_size,
    first_line,
    load_graph,
    runtime_errors,
)
from mgdn_edge.runtime.fusion.contract.backend_names import FilterChoice, FilterImplementation
from mgdn_edge.runtime.fusion.contract.session import MIN_SLOTS, Session, Slot
from mgdn_edge.runtime.fusion.contract.variant_choice import static_size
from mgdn_edge.runtime.picture.frame import Plane, Size

if TYPE_CHECKING:
    import onnxruntime

BACKEND = "onnxruntime-cpu"
INSTALL = "pip install 'mgdn-edge[cpu]'"
ONLY_ERRORS = 3  # ONNX Runtime's severity scale: warnings about unused initialisers say nothing


class _Bound(NamedTuple):
    """A slot's arrays as ONNX Runtime sees them: by address, so they must stay the same."""

    binding: onnxruntime.IOBinding
    planes: tuple[Plane, Plane, Plane]


class OnnxRuntimeSession(Session):
    """One frame graph on ONNX Runtime's CPU provider, fused one frame after the other.

    A slot's arrays are bound by address: inputs are read and ``slot.fused`` is written in
    place. One worker thread runs the graph, so ``submit`` returns at once and reading or
    encoding overlaps. ``size`` is (height, width) of a static graph, None of a dynamic one.
    """

    def __init__(
        self,
        model: bytes,
        *,
        spec: FusionSpec,
        variant: str,
        precision: str = "fp32",
        size: Size | None = None,
        threads: int | None = None,
        slots: int = MIN_SLOTS,
        filter: FilterChoice | None = None,
        trace: Path | None = None,
    ) -> None:
        """Open verified ONNX bytes; UserError where they are not a frame graph of ``spec``.

        ``threads`` is the number of CPU threads one frame is spread over; None takes every CPU
        this process may use. ``filter`` "native" needs the native DynamicFilter, "body" runs the
        function body in the file, None takes the native one where it is installed. ``trace``
        is the beginning of the name of a file that ONNX Runtime's profiler writes.
        """
        super().__init__(slots)
        if threads is not None and threads < 1:
            raise UserError(f"threads={threads}; at least 1 is needed")
        self.network = spec.network
        self.backend = BACKEND
        self.variant = variant
        self.precision = precision
        self.size = size
        self.filter_implementation = _choose_filter(model, filter)
        self._session = _open_model(
            model, variant, threads or usable_cpus(), self.filter_implementation, trace
        )
        check_interface(self._session, spec, variant, size)
        self._bound: weakref.WeakKeyDictionary[Slot, _Bound] = weakref.WeakKeyDictionary()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime")

    def check_size(self, size: Size) -> None:
        """Raise UserError unless ``size`` (height, width) is the static graph's own."""
        check_static_size(size, self.size, self.variant)

    def submit(self, slot: Slot) -> None:
        """Start fusing; ``slot.fused`` is complete after ``collect``."""
        bound = self._bound.get(slot)
        if bound is None:
            bound = self._bound[slot] = self._bind(slot)
        planes = (slot.visible, slot.infrared, slot.fused)
        if any(known is not plane for known, plane in zip(bound.planes, planes, strict=True)):
            raise RuntimeError("a slot's views were replaced; write into them: slot.visible[:] = y")
        slot.pending = self._worker.submit(self._run, slot, bound.binding)

    def end_trace(self) -> Path:
        """Stop the profiler that ``trace`` started -> its file, complete."""
        return Path(self._session.end_profiling())

    def close(self) -> None:
        """Wait for the frame in flight, then end the worker thread."""
        self._worker.shutdown(wait=True)

    def _run(self, slot: Slot, binding: onnxruntime.IOBinding) -> None:
        slot.started_ns = time.perf_counter_ns()
        try:
            self._session.run_with_iobinding(binding)
        except runtime_errors() as error:
            height, width = slot.size
            raise UserError(
                f"ONNX Runtime could not fuse a {width}x{height} frame with variant "
                f"{self.variant}: {first_line(error)}"
            ) from error
        slot.finished_ns = time.perf_counter_ns()

    def _bind(self, slot: Slot) -> _Bound:
        planes = (slot.visible, slot.infrared, slot.fused)
        binding = self._session.io_binding()
        for name, plane in zip((*INPUTS, OUTPUT), planes, strict=True):
            bind = binding.bind_output if name == OUTPUT else binding.bind_input
            # Only the address is kept: _Bound.planes keeps the memory alive (1.23.2 crashes
            # on freed arrays).
            bind(name, "cpu", 0, np.uint8, (1, 1, *plane.shape), plane.ctypes.data)
        return _Bound(binding, planes)


def usable_cpus() -> int:
    """CPUs this process may run on, which a container or taskset may have narrowed."""
    return len(os.sched_getaffinity(0))


def _choose_filter(model: bytes, filter: FilterChoice | None) -> FilterImplementation | None:
    """What will compute the model's DynamicFilter, None where it has none.

    A library that is there but does not load stops the session: it would be slow silently.
    """
    if FILTER_OPERATION not in model:  # protobuf keeps operator names as they are
        return None
    if filter == "body" or (filter is None and find_library() is None):
        return "function body"
    try:
        load_library()
    except NativeLibraryError as error:
        raise UserError(f"no native DynamicFilter: {error}") from error
    return "native"


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """The options measured to be best for one frame after the other on ``threads`` CPUs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False
    # Planned reuse keeps buffers of every size to the end of the frame: 1.2 GB instead of 0.5 GB
    # for the published network, no faster.
    options.enable_mem_reuse = False
    options.log_severity_level = ONLY_ERRORS
    # Spinning threads win a little alone and lose more beside a decoder or an encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _open_model(
    model: bytes,
    variant: str,
    threads: int,
    filter_implementation: FilterImplementation | None,
    trace: Path | None,
) -> onnxruntime.InferenceSession:
    """ONNX bytes -> a session with the options measured to be best."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"ONNX Runtime is not installed ({error}); run: {INSTALL}") from error
    options = session_options(threads)
    if trace is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(trace)
    try:
        if filter_implementation == "native":
            # The registered operation is taken over the file's function body (1.23.2, 1.31.1).
            options.register_custom_ops_library(str(find_library()))
        return load_graph(model, f"variant {variant}", options)
    except runtime_errors() as error:
        raise UserError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load variant {variant}: "
            f"{first_line(error)}"
        ) from error


def start_variant(
    bundle: Bundle,
    variant: Variant,
    *,
    threads: int | None = None,
    filter: FilterChoice | None = None,
    trace: Path | None = None,
) -> OnnxRuntimeSession:
    """One variant on ONNX Runtime's CPU provider, its golden pair not yet fused.

    ``trace`` is where its profiler writes, see OnnxRuntimeSession.
    """
    session = OnnxRuntimeSession(
        bundle.read(variant.file),
        spec=bundle.manifest.spec,
        variant=variant.name,
        precision=variant.precision,
        size=static_size(variant),
        threads=threads,
        filter=filter,
        trace=trace,
    )
    session.network = bundle.manifest.name
    return session
