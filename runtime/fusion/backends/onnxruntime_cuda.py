"""ONNX Runtime on an NVIDIA GPU: the CUDA provider, with DynamicFilter's CUDA kernel.

Slots, copies and streams are CudaSession's; ONNX Runtime works in its compute stream and is given
device addresses. TensorFloat-32 is off: float32 means float32 here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgdn_edge.plugins.native import (
    HOW_TO_BUILD,
    NativeLibraryError,
    cuda_architectures,
    find_library,
)
from mgdn_edge.runtime.bundle.fusion_spec import FusionSpec
from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.backends.node_placement import (
    CUDA_PROVIDER,
    read_placement,
    record_profile,
)
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import (
    CPU_PROVIDER,
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
from mgdn_edge.runtime.fusion.contract.session import MIN_SLOTS
from mgdn_edge.runtime.fusion.contract.variant_choice import static_size
from mgdn_edge.runtime.fusion.cuda.calls import Cuda
from mgdn_edge.runtime.fusion.cuda.memory import MemoryKind
from mgdn_edge.runtime.fusion.cuda.session import MEASURED_SIZE, CudaSession
from mgdn_edge.runtime.fusion.cuda.slot_work import Addresses
from mgdn_edge.runtime.picture.frame import Size

if TYPE_CHECKING:
    import onnxruntime

BACKEND = "onnxruntime-cuda"
PACKAGES = ("onnxruntime", "onnxruntime-gpu")
INSTALL = "pip install 'mgdn-edge[gpu]'"
REPLACE = f"pip uninstall -y {' '.join(PACKAGES)} && {INSTALL}"
ONLY_ERRORS = 3  # of ONNX Runtime's severities
# Asks the library for DynamicFilter alone (register.cpp): its other operations have no CUDA kernel,
# and their function bodies on the GPU need no copies.
FILTER_ONLY = "mgdn.filter_only"
MOST_BINDINGS = 16  # more than slots: arrays of other libraries may come at changing addresses


class OnnxRuntimeCudaSession(CudaSession):
    """One frame graph on ONNX Runtime's CUDA provider; ``size`` None takes frames of any size.

    A thread of its own starts the kernels, one call a node, so ``submit`` returns at once.
    """

    capture_refused = "ONNX Runtime starts its kernels one by one and may wait between them"
    _worker: ThreadPoolExecutor | None = None
    _session: Any = None

    def __init__(
        self,
        model: bytes,
        *,
        spec: FusionSpec,
        variant: str,
        precision: str = "fp32",
        size: Size | None = None,
        filter: FilterChoice | None = None,
        cuda: Cuda | None = None,
        slots: int = MIN_SLOTS,
        memory: MemoryKind | None = None,
    ) -> None:
        """Open verified ONNX bytes; UserError where they are not a frame graph of ``spec``.

        DeviceError where the CUDA provider is not there or does not start. ``filter``
        "native" needs the CUDA kernel of DynamicFilter, "body" runs the function body, None takes
        the kernel where the library has one for this GPU.
        """
        check_provider()
        cuda = cuda or Cuda()
        self.filter_implementation = choose_cuda_filter(model, filter, cuda)
        super().__init__(cuda, slots=slots, memory=memory)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime-cuda")
        self.network, self.backend = spec.network, BACKEND
        self.variant, self.precision, self.size = variant, precision, size
        self._bindings: dict[tuple[Size, Addresses], onnxruntime.IOBinding] = {}
        try:
            with cuda.current(), tempfile.TemporaryDirectory(prefix="mgdn-") as folder:
                self._session = self._open(model, Path(folder))
                check_interface(self._session, spec, variant, size)
                self.execution["nodes"] = read_placement(
                    self._session, lambda: self.time_frames("pinned", size or MEASURED_SIZE, 1)
                )
                self.start(size)
        except BaseException:
            self.close()
            raise

    def check_size(self, size: Size) -> None:
        """Raise UserError unless ``size`` (height, width) is the static graph's own."""
        check_static_size(size, self.size, self.variant)

    def run_soon(self, work: Callable[[], None]) -> Future[None]:
        """Run ``work`` on the thread that starts kernels."""
        assert self._worker is not None, "made before the first frame"
        return self._worker.submit(work)

    def enqueue(self, size: Size, planes: Addresses) -> None:
        """Enqueue the graph in ``self.stream``; DeviceError with ONNX Runtime's own words."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        # Otherwise each run ends by waiting for the stream.
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        try:
            self._session.run_with_iobinding(self._binding(size, planes), options)
        except runtime_errors() as error:
            raise DeviceError(
                f"ONNX Runtime could not fuse a {size[1]}x{size[0]} frame with variant "
                f"{self.variant}: {first_line(error)}"
            ) from error

    def close(self) -> None:
        """End the thread that starts kernels, wait for the GPU, free everything."""
        if self._worker is not None:
            self._worker.shutdown(wait=True)
        super().close()

    def release_network(self) -> None:
        """Free the bindings, then the session they belong to."""
        self._bindings = {}
        self._session = None

    def _binding(self, size: Size, planes: Addresses) -> onnxruntime.IOBinding:
        key = (size, planes)
        binding = self._bindings.pop(key, None)
        if binding is None:
            binding = self._session.io_binding()
            for name, address in zip((*INPUTS, OUTPUT), planes, strict=True):
                bind = binding.bind_output if name == OUTPUT else binding.bind_input
                bind(name, "cuda", self._cuda.device, np.uint8, (1, 1, *size), address)
            while len(self._bindings) >= MOST_BINDINGS:
                del self._bindings[next(iter(self._bindings))]
        self._bindings[key] = binding  # the last used is the last to go
        return binding

    def _open(self, model: bytes, folder: Path) -> onnxruntime.InferenceSession:
        import onnxruntime

        if find_spec("nvidia") is not None and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA and cuDNN that pip has installed
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ONLY_ERRORS
        record_profile(options, folder)
        provider = {
            "device_id": str(self._cuda.device),
            "user_compute_stream": str(self.stream),
            "use_tf32": "0",
        }
        try:
            if self.filter_implementation == "native":
                options.add_session_config_entry(FILTER_ONLY, "1")
                options.register_custom_ops_library(str(find_library()))
            providers = ((CUDA_PROVIDER, provider), CPU_PROVIDER)
            session = load_graph(model, f"variant {self.variant}", options, providers)
        except runtime_errors() as error:
            raise UserError(
                f"ONNX Runtime {onnxruntime.__version__} cannot load variant {self.variant}: "
                f"{first_line(error)}"
            ) from error
        # ONNX Runtime goes on without a provider that does not start, and tries others on errors.
        session.disable_fallback()
        if CUDA_PROVIDER not in session.get_providers():
            raise DeviceError(
                f"ONNX Runtime {onnxruntime.__version__} could not start its CUDA provider on "
                f"{self._cuda.name}: its CUDA or cuDNN libraries are missing or of another "
                "version; run: pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        return session


def check_provider() -> None:
    """DeviceError unless the installed ONNX Runtime has a CUDA provider."""
    try:
        import onnxruntime
    except ImportError as error:
        raise DeviceError(f"ONNX Runtime is not installed ({error}); run: {INSTALL}") from error
    if CUDA_PROVIDER in onnxruntime.get_available_providers():
        return
    if len(installed_packages()) > 1:
        raise DeviceError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files, "
            f"so the CUDA provider is gone; run: {REPLACE}"
        )
    raise DeviceError(
        f"this ONNX Runtime {onnxruntime.__version__} was built without CUDA; run: {REPLACE} "
        "(on a Jetson, where there is no such package, pass --backend tensorrt)"
    )


def installed_packages() -> list[str]:
    """Which of the packages that bring the module ``onnxruntime`` are installed."""
    found = []
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            version(name)
            found.append(name)
    return found


def choose_cuda_filter(
    model: bytes, filter: FilterChoice | None, cuda: Cuda
) -> FilterImplementation | None:
    """What computes the model's DynamicFilter on this GPU, None where it has none.

    A library without a kernel for the GPU is left out: ONNX Runtime would take its CPU kernel and
    copy every plane there and back.
    """
    if FILTER_OPERATION not in model:  # protobuf keeps operator names as they are
        return None
    if filter == "body" or (filter is None and find_library() is None):
        return "function body"
    try:
        architectures = cuda_architectures()
    except NativeLibraryError as error:
        raise UserError(f"no native DynamicFilter: {error}") from error
    if any(runs_on(each, cuda.capability) for each in architectures):
        return "native"
    if filter is None:
        return "function body"
    compiled = ", ".join(architectures) or "none"
    raise UserError(
        f"the native library's CUDA kernel is for architectures {compiled}, and {cuda.describe()}; "
        f"on this machine, with nvcc, {HOW_TO_BUILD}"
    )


def runs_on(architecture: str, capability: tuple[int, int]) -> bool:
    """Whether code of an architecture, as CMake names it, runs on a GPU of that capability.

    "87-real" runs on 8.7 and newer minor versions of 8, "75-virtual" on every newer GPU, and
    "110" is both.
    """
    number, _, kind = architecture.partition("-")
    compiled = (int(number[:-1]), int(number[-1]))
    same_family = capability[0] == compiled[0] and capability >= compiled
    return same_family if kind == "real" else capability >= compiled


def start_cuda_variant(
    bundle: Bundle, variant: Variant, *, filter: FilterChoice | None = None
) -> OnnxRuntimeCudaSession:
    """One variant on ONNX Runtime's CUDA provider, its golden pair not yet fused."""
    session = OnnxRuntimeCudaSession(
        bundle.read(variant.file),
        spec=bundle.manifest.spec,
        variant=variant.name,
        precision=variant.precision,
        size=static_size(variant),
        filter=filter,
    )
    session.network = bundle.manifest.name
    return session
