"""TensorRT: a serialized engine -> a session. Engines are built elsewhere, on this device.

An engine takes and returns the frame graph's planes, (1, 1, H, W) uint8 of one size. An engine is
code: callers have built it here or verified it.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Protocol

from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.fusion.contract.session import MIN_SLOTS
from mgdn_edge.runtime.fusion.cuda.calls import Cuda
from mgdn_edge.runtime.fusion.cuda.memory import MemoryKind
from mgdn_edge.runtime.fusion.cuda.session import CudaSession
from mgdn_edge.runtime.fusion.cuda.slot_work import Addresses
from mgdn_edge.runtime.picture.frame import Size

BACKEND = "tensorrt"
OLDEST = (10, 3)  # JetPack 6.1's
PLANES = Addresses._fields
MIB = 1 << 20
DOCTOR = "run: mgdn doctor"
REBUILD = "build it again on this machine: mgdn build"


class DeserializedEngine(Protocol):
    """``tensorrt.ICudaEngine``, as far as its tensors are looked at."""

    num_io_tensors: int

    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_shape(self, name: str) -> Iterable[int]: ...
    def get_tensor_mode(self, name: str) -> object: ...
    def get_tensor_dtype(self, name: str) -> object: ...
    def get_tensor_location(self, name: str) -> object: ...


class ErrorLog(Protocol):
    """A ``tensorrt.ILogger`` that keeps what went wrong, oldest first: the first is the cause."""

    errors: list[str]


class TensorrtSession(CudaSession):
    """An engine on one GPU; owns its TensorRT runtime, engine and execution context."""

    alignment = 256  # what setTensorAddress asks of an address (NvInferRuntime.h)
    _context: Any = None
    _parts: tuple[Any, ...] = ()

    def __init__(
        self,
        engine: bytes,
        tensorrt: ModuleType,
        *,
        network: str,
        variant: str,
        precision: str,
        filter_implementation: FilterImplementation | None = None,
        cuda: Cuda | None = None,
        slots: int = MIN_SLOTS,
        memory: MemoryKind | None = None,
        cuda_graph: bool = True,
    ) -> None:
        """Deserialise an engine; DeviceError where this device or this TensorRT cannot run it.

        ``tensorrt`` is the imported module. ``filter_implementation`` "native" says that the
        engine holds the plugin, which the caller has loaded. ``memory`` and ``cuda_graph`` as for
        CudaSession.
        """
        check_version(tensorrt)
        cuda = cuda or Cuda()
        super().__init__(cuda, slots=slots, memory=memory, cuda_graph=cuda_graph)
        self.network, self.backend = network, BACKEND
        self.variant, self.precision = variant, precision
        self.filter_implementation = filter_implementation
        self.execution["TensorRT"] = str(tensorrt.__version__)
        try:
            with cuda.current():
                self._open(tensorrt, engine)
                self.start(self.size)
        except BaseException:
            self.close()
            raise

    def check_size(self, size: Size) -> None:
        """Raise UserError unless ``size`` (height, width) is the engine's own."""
        if size != self.size:
            height, width = self.size
            raise UserError(
                f"frames are {size[1]}x{size[0]} but the engine takes only {width}x{height}; "
                "leave --variant out, and frames that all have one size get an engine of their own"
            )

    def enqueue(self, size: Size, planes: Addresses) -> None:
        """Enqueue the engine in ``self.stream``. Raises DeviceError with TensorRT's own words."""
        del size  # the engine has one
        for name, address in zip(PLANES, planes, strict=True):
            if not self._context.set_tensor_address(name, address):
                raise self._error(f"TensorRT does not take address {address:#x} for {name}")
        if not self._context.execute_async_v3(self.stream):
            raise self._error("TensorRT could not start the engine")

    def release_network(self) -> None:
        """Free context, engine and runtime, in this order."""
        self._context = None
        while self._parts:
            self._parts = self._parts[:-1]

    def _open(self, tensorrt: ModuleType, engine: bytes) -> None:
        self._log = make_log(tensorrt)
        runtime = start_runtime(tensorrt, self._log)
        made = runtime.deserialize_cuda_engine(engine)
        if made is None:
            version = tensorrt.__version__
            raise self._error(
                f"TensorRT {version} cannot run this engine on {self._cuda.name}: it is damaged, "
                "or of another device or TensorRT",
                REBUILD,
            )
        self._parts = (runtime, made)
        self.size = read_size(tensorrt, made)
        self._context = made.create_execution_context()
        if self._context is None:
            wanted = int(getattr(made, "device_memory_size_v2", 0)) // MIB
            raise self._error(
                f"TensorRT cannot make an execution context, which needs {wanted} MiB",
                "end other programs or use a smaller variant",
            )

    def _error(self, what: str, advice: str = DOCTOR) -> DeviceError:
        return tensorrt_error(self._log, what, advice)


def check_version(tensorrt: ModuleType) -> None:
    """DeviceError where TensorRT is older than the oldest that is known to work."""
    found = re.match(r"(\d+)\.(\d+)", tensorrt.__version__)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise DeviceError(
            f"TensorRT {tensorrt.__version__} is too old, {OLDEST[0]}.{OLDEST[1]} is needed: on a "
            "Jetson install JetPack 6.1 or newer; elsewhere: pip install --upgrade tensorrt"
        )


def make_log(tensorrt: ModuleType) -> ErrorLog:
    """A logger TensorRT can call."""
    failures = (tensorrt.ILogger.Severity.INTERNAL_ERROR, tensorrt.ILogger.Severity.ERROR)

    class Log(tensorrt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)  # pybind11 needs this form
            self.errors: list[str] = []

        def log(self, severity: object, message: str) -> None:
            if severity in failures:
                self.errors.append(" ".join(message.split()))

    log: ErrorLog = Log()
    return log


def start_runtime(tensorrt: ModuleType, log: ErrorLog) -> Any:  # noqa: ANN401 - untyped
    """A tensorrt.Runtime; DeviceError where TensorRT finds no GPU it can use.

    Its Python then makes an object around nothing; its methods and its end crash the process
    (10.15, 11.4: test_failures.py), so it is kept for good.
    """
    runtime = tensorrt.Runtime(log)
    if log.errors:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))
        raise tensorrt_error(log, "TensorRT does not start on this machine", DOCTOR)
    return runtime


def tensorrt_error(log: ErrorLog, what: str, advice: str) -> DeviceError:
    """One sentence with what TensorRT said first, which is then forgotten."""
    message = f" ({log.errors[0]})" if log.errors else ""
    log.errors.clear()
    return DeviceError(f"{what}{message}; {advice}")


def read_size(tensorrt: ModuleType, engine: DeserializedEngine) -> Size:
    """(height, width) of an engine's planes; DeviceError where it is not a frame graph's engine."""
    inputs = {"visible", "infrared"}
    found = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        mode = tensorrt.TensorIOMode.INPUT if name in inputs else tensorrt.TensorIOMode.OUTPUT
        shape = tuple(engine.get_tensor_shape(name))
        fits = (
            engine.get_tensor_mode(name) == mode
            and engine.get_tensor_dtype(name) == tensorrt.DataType.UINT8
            and engine.get_tensor_location(name) == tensorrt.TensorLocation.DEVICE
        )
        found[name] = (fits, shape)
    shapes = {shape for _, shape in found.values()}
    sound = set(found) == set(PLANES) and all(fits for fits, _ in found.values())
    if sound and len(shapes) == 1:
        (shape,) = shapes
        if len(shape) == 4 and shape[:2] == (1, 1) and min(shape) > 0:
            return shape[2], shape[3]
    text = ", ".join(f"{name} {list(shape)}" for name, (_, shape) in sorted(found.items()))
    raise DeviceError(
        f"the engine takes and returns {text or 'nothing'}; visible, infrared and fused "
        f"are needed, uint8 (1, 1, H, W) of one size in device memory; {REBUILD}"
    )
