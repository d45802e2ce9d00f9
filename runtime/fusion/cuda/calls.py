"""Every CUDA call of ours: the runtime API through cuda-python, each failure one sentence.

The runtime API works in the device's primary context, which torch, CuPy, numba and
``pycuda.autoprimaryctx`` share, so their pointers and streams are ours and any thread may call.
Streams, events and addresses are plain integers here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal, NamedTuple

from mgdn_edge.runtime.errors import DeviceError

INSTALL = "pip install 'mgdn-edge[gpu]' (on a Jetson: 'mgdn-edge[jetson]')"
MIB = 1 << 20
LEGACY_STREAM = 1  # cudaStreamLegacy, the default stream under a name that is never 0

# After these every later call of the process fails, too: CUDA calls them sticky.
STICKY = {
    "cudaErrorIllegalAddress",
    "cudaErrorIllegalInstruction",
    "cudaErrorMisalignedAddress",
    "cudaErrorLaunchFailure",
    "cudaErrorLaunchTimeout",
    "cudaErrorHardwareStackError",
    "cudaErrorAssert",
    "cudaErrorECCUncorrectable",
}
ADVICE = {
    "cudaErrorNoDevice": "no NVIDIA GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES",
    "cudaErrorInvalidDevice": "there is no such GPU: nvidia-smi -L lists them",
    "cudaErrorInvalidResourceHandle": "a stream or event of another device or context: with PyCUDA "
    "import pycuda.autoprimaryctx, not pycuda.autoinit",
}
ON_THE_CPU = ("or pass --backend onnxruntime-cpu",)
NO_GPU = {"cudaErrorNoDevice", "cudaErrorInsufficientDriver"}

Direction = Literal["to device", "to host"]
PointerKind = Literal["host", "device", "managed", "unknown to CUDA"]


class CudaError(DeviceError):
    """A CUDA call failed; ``name`` is CUDA's own, such as "cudaErrorIllegalAddress"."""

    def __init__(self, sentence: str, name: str, ways: Sequence[str] = ()) -> None:
        super().__init__(sentence, ways=ways)
        self.name = name


class PointerFacts(NamedTuple):
    """What CUDA knows about an address: ``device_address`` is 0 where the GPU cannot read it."""

    kind: PointerKind
    device: int
    device_address: int


def load_bindings() -> ModuleType:
    """The module ``cuda.bindings.runtime``, which imports without a driver. Raises DeviceError."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise DeviceError(
            f"cuda-bindings is not installed ({error}); run: {INSTALL}", ways=ON_THE_CPU
        ) from error
    bindings: ModuleType = runtime
    return bindings


class Cuda:
    """One GPU. Every method raises CudaError where its call fails.

    ``bindings`` is the module that makes the calls, None for cuda-python's. ``lost`` is true
    after an error that only a new process gets rid of; nothing need be freed then.
    """

    def __init__(self, device: int = 0, bindings: ModuleType | None = None) -> None:
        self._api = load_bindings() if bindings is None else bindings
        self.device = device
        self.lost = False
        self._copies = {
            "to device": self._api.cudaMemcpyKind.cudaMemcpyHostToDevice,
            "to host": self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost,
        }
        count = self._call("count GPUs", self._api.cudaGetDeviceCount())
        if device >= count:
            raise DeviceError(f"GPU {device} was asked for but there are {count}: nvidia-smi -L")
        with self.current():
            properties = self._call(f"read GPU {device}", self._api.cudaGetDeviceProperties(device))
        self.name = bytes(properties.name).split(b"\0")[0].decode(errors="replace")
        attribute = self._api.cudaDeviceAttr
        self.capability = (
            self._attribute(attribute.cudaDevAttrComputeCapabilityMajor),
            self._attribute(attribute.cudaDevAttrComputeCapabilityMinor),
        )
        # The GPU reads the board's own memory, as on a Jetson.
        self.integrated = bool(self._attribute(attribute.cudaDevAttrIntegrated))
        self.maps_host_memory = bool(self._attribute(attribute.cudaDevAttrCanMapHostMemory))

    def describe(self) -> str:
        """The GPU in words, for reports."""
        shared = ", memory shared with the CPU" if self.integrated else ""
        return f"{self.name}, compute capability {self.capability[0]}.{self.capability[1]}{shared}"

    @contextmanager
    def current(self) -> Iterator[None]:
        """Inside, this device is the calling thread's; what another library had set comes back."""
        before = self._call("tell the current GPU", self._api.cudaGetDevice())
        if before == self.device:
            yield
            return
        self._call(f"use GPU {self.device}", self._api.cudaSetDevice(self.device))
        try:
            yield
        finally:
            if not self.lost:
                self._call(f"use GPU {before}", self._api.cudaSetDevice(before))

    def allocate(self, size: int) -> int:
        """Device memory of ``size`` bytes, aligned to 256; the caller frees it."""
        return int(self._call(f"allocate {_megabytes(size)}", self._api.cudaMalloc(size)))

    def free(self, address: int) -> None:
        """Free device memory; waits for the device."""
        self._release("free device memory", self._api.cudaFree, address)

    def allocate_host(self, size: int, *, mapped: bool) -> int:
        """Page-locked host memory of ``size`` bytes; ``mapped``: the GPU may read it, too."""
        flags = self._api.cudaHostAllocMapped if mapped else self._api.cudaHostAllocDefault
        what = f"lock {_megabytes(size)} of host memory"
        return int(self._call(what, self._api.cudaHostAlloc(size, flags)))

    def free_host(self, address: int) -> None:
        """Free page-locked memory; waits for the device."""
        self._release("free host memory", self._api.cudaFreeHost, address)

    def device_address(self, host_address: int) -> int:
        """Where the GPU sees mapped host memory."""
        return int(self._call("map memory", self._api.cudaHostGetDevicePointer(host_address, 0)))

    def pointer_facts(self, address: int) -> PointerFacts:
        """What kind of memory a foreign address is."""
        facts = self._call("look at a pointer", self._api.cudaPointerGetAttributes(address))
        types = self._api.cudaMemoryType
        kinds: dict[Any, PointerKind] = {
            types.cudaMemoryTypeHost: "host",
            types.cudaMemoryTypeDevice: "device",
            types.cudaMemoryTypeManaged: "managed",
        }
        kind = kinds.get(facts.type, "unknown to CUDA")
        return PointerFacts(kind, int(facts.device), int(facts.devicePointer or 0))

    def copy(self, target: int, source: int, size: int, direction: Direction, stream: int) -> None:
        """Copy ``size`` bytes in stream order; returns at once where the host memory is locked."""
        kind = self._copies[direction]
        result = self._api.cudaMemcpyAsync(target, source, size, kind, stream)
        self._call(f"copy {direction}", result)

    def create_stream(self) -> int:
        """A stream that does not wait for the default stream."""
        flags = self._api.cudaStreamNonBlocking
        return int(self._call("create a stream", self._api.cudaStreamCreateWithFlags(flags)))

    def destroy_stream(self, stream: int) -> None:
        """What was enqueued still runs."""
        self._release("destroy a stream", self._api.cudaStreamDestroy, stream)

    def synchronize(self, stream: int) -> None:
        """Wait on the host for everything in ``stream``; never in the loop."""
        self._call("wait for a stream", self._api.cudaStreamSynchronize(stream))

    def create_event(self) -> int:
        """An event that keeps time; waiting for it on the host sleeps instead of spinning."""
        flags = self._api.cudaEventBlockingSync
        return int(self._call("create an event", self._api.cudaEventCreateWithFlags(flags)))

    def destroy_event(self, event: int) -> None:
        """Free an event."""
        self._release("destroy an event", self._api.cudaEventDestroy, event)

    def record(self, event: int, stream: int) -> None:
        """The event happens when what is in ``stream`` now is done."""
        self._call("record an event", self._api.cudaEventRecord(event, stream))

    def wait(self, stream: int, event: int) -> None:
        """What enters ``stream`` from now on waits for ``event``; the host does not."""
        self._call("let a stream wait", self._api.cudaStreamWaitEvent(stream, event, 0))

    def wait_on_host(self, event: int) -> None:
        """Sleep until ``event`` has happened; errors of the work before it surface here."""
        self._call("finish what was enqueued", self._api.cudaEventSynchronize(event))

    def milliseconds(self, start: int, end: int) -> float:
        """Device time between two events that have happened."""
        return float(self._call("read a time", self._api.cudaEventElapsedTime(start, end)))

    def begin_capture(self, stream: int) -> None:
        """Until ``end_capture``, this thread's work in ``stream`` is noted instead of run."""
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("begin a capture", self._api.cudaStreamBeginCapture(stream, mode))

    def end_capture(self, stream: int) -> object:
        """What was captured, as a graph that can be launched; the caller destroys it."""
        graph: object = self._call("end a capture", self._api.cudaStreamEndCapture(stream))
        try:
            made: object = self._call("make a CUDA graph", self._api.cudaGraphInstantiate(graph, 0))
            return made
        finally:
            self._call("destroy a captured graph", self._api.cudaGraphDestroy(graph))

    def abandon_capture(self, stream: int) -> None:
        """End a capture that failed, so that the stream takes plain work again."""
        error, graph = self._api.cudaStreamEndCapture(stream)
        if error == self._api.cudaError_t.cudaSuccess:
            self._call("destroy a captured graph", self._api.cudaGraphDestroy(graph))
        self._api.cudaGetLastError()

    def launch(self, graph: object, stream: int) -> None:
        """Run a graph in ``stream``."""
        self._call("launch a CUDA graph", self._api.cudaGraphLaunch(graph, stream))

    def destroy_graph(self, graph: object) -> None:
        """Free a graph that is not running."""
        self._release("destroy a CUDA graph", self._api.cudaGraphExecDestroy, graph)

    def _attribute(self, attribute: object) -> int:
        result = self._api.cudaDeviceGetAttribute(attribute, self.device)
        return int(self._call(f"read GPU {self.device}", result))

    def _release(
        self, what: str, release: Callable[[Any], tuple[Any, ...]], handle: object
    ) -> None:
        # A lost context has freed everything itself and refuses every call.
        if not self.lost:
            self._call(what, release(handle))

    def _call(self, what: str, result: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as the call
        """The value of a call's ``(error, value)``, None where it has none. Raises CudaError."""
        error = result[0]
        if error == self._api.cudaError_t.cudaSuccess:
            return result[1] if len(result) > 1 else None
        raise self._error(what, error)

    def _error(self, what: str, error: object) -> CudaError:
        # Told here, and forgotten: the next library to ask would take it for its own failure.
        self._api.cudaGetLastError()
        name = self._api.cudaGetErrorName(error)[1].decode()
        text = self._api.cudaGetErrorString(error)[1].decode()
        if name in STICKY:
            self.lost = True
            advice = "the GPU's context is lost: start the program again, and report what it fused"
        elif name == "cudaErrorInsufficientDriver":
            advice = self._driver_advice()
        elif name == "cudaErrorMemoryAllocation":
            advice = f"{self._free_memory()}use a smaller variant or end other programs"
        else:
            advice = ADVICE.get(name, "run: mgdn doctor")
        told = f"CUDA could not {what}: {name} ({text}); {advice}"
        return CudaError(told, name, ON_THE_CPU if name in NO_GPU else ())

    def _driver_advice(self) -> str:
        driver = int(self._api.cudaDriverGetVersion()[1])
        runtime = int(self._api.cudaRuntimeGetVersion()[1])
        if not driver:
            return (
                "no NVIDIA driver is installed or visible here: install one (a container needs "
                "--gpus all or --runtime nvidia)"
            )
        major = driver // 1000
        return (
            f"the driver is for CUDA {_version(driver)} and cuda-bindings for {_version(runtime)}; "
            f"run: pip install 'cuda-bindings=={major}.*', or install a newer driver"
        )

    def _free_memory(self) -> str:
        error, free, total = self._api.cudaMemGetInfo()
        if error != self._api.cudaError_t.cudaSuccess:
            return ""
        return f"{free // MIB} of {total // MIB} MiB are free; "


def _version(number: int) -> str:
    """12060 -> 12.6, as CUDA counts."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _megabytes(size: int) -> str:
    return f"{size / MIB:.1f} MiB"
