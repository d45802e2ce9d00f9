"""A stand-in for ``cuda.bindings.runtime`` that needs no GPU and enforces CUDA's rules.

It has the calls of ours under their names, with their arguments and ``(error, value)`` results;
test_stand_in.py compares them with the real package. Broken rules raise BrokenRuleError, errors
CUDA reports are returned. ``loop()`` forbids what must not be called between frames.
"""

import gc
import threading
from contextlib import contextmanager
from types import SimpleNamespace

from support.cuda_calls import OK, DeviceFacts, call
from support.cuda_names import (
    cudaDeviceAttr,
    cudaError_t,
    cudaMemcpyKind,
    cudaMemoryType,
    cudaStreamCaptureMode,
)
from support.stand_in_device import BrokenRuleError, Clock, Device, Stream

COPY_SECONDS, BYTES_PER_SECOND = 10e-6, 10e9
LEGACY = 1


class CudaStandIn(DeviceFacts):
    """``integrated``: the GPU reads mapped memory at full speed. ``gpus``: how many there are."""

    cudaError_t, cudaMemcpyKind, cudaMemoryType = cudaError_t, cudaMemcpyKind, cudaMemoryType
    cudaStreamCaptureMode, cudaDeviceAttr = cudaStreamCaptureMode, cudaDeviceAttr
    cudaEventBlockingSync, cudaStreamNonBlocking = 1, 1
    cudaHostAllocDefault, cudaHostAllocMapped = 0, 2

    def __init__(self, *, integrated=False, maps=True, gpus=1, driver=13000, **device) -> None:
        self.device = Device(**device)
        self.integrated, self.maps, self.gpus, self.driver = integrated, maps, gpus, driver
        self.calls: list[str] = []
        self.sticky: cudaError_t | None = None
        self.last_error = OK
        self.complaints: list[str] = []  # of what cannot raise, such as destructors
        self.streams = {LEGACY: Stream(LEGACY, 0)}
        self.events: dict[int, tuple[Clock, float] | None] = {}
        self.graphs: dict[int, list[tuple]] = {}
        self._plans: dict[str, list[cudaError_t]] = {}
        self._looping = False
        self._handles = iter(range(0x1000, 1 << 30, 16))
        self._thread = threading.local()

    def fail(self, name: str, error: str, after: int = 0) -> None:
        """The call of that name returns ``error``, once, after so many that work."""
        self._plans[name] = [OK] * after + [cudaError_t[error]]

    @contextmanager
    def loop(self):
        """Inside are frames: nothing is made, freed or waited for but an event."""
        self._looping = True
        try:
            yield
        finally:
            self._looping = False

    def assert_all_freed(self) -> None:
        kept = [memory for memory in self.device.memories if not memory.freed]
        assert not kept, f"not freed: {[(memory.kind, memory.size) for memory in kept]}"
        assert set(self.streams) == {LEGACY}, "streams not destroyed"
        assert not self.complaints
        assert not self.events and not self.graphs, "events or graphs not destroyed"

    def enqueue(self, stream, label, reads, writes, run, seconds=COPY_SECONDS) -> cudaError_t:
        """Work of a kernel: what TensorRT or ONNX Runtime would launch."""
        found = self._stream(stream)
        for address, size in (*reads, *writes):
            self.device.visible_to_device(address, size)
        if found.capture is not None:
            found.capture.append((label, reads, writes, run, seconds))
        else:
            self.device.enter(found, label, reads, writes, run, seconds)
        return self.sticky or OK

    def _planned(self, name: str) -> cudaError_t:
        plan = self._plans.get(name)
        return plan.pop(0) if plan else OK

    def _captured_here(self) -> Stream | None:
        here = threading.get_ident()
        streams = (each for each in self.streams.values() if each.capture is not None)
        return next((each for each in streams if each.capture_thread == here), None)

    def _stream(self, handle: int) -> Stream:
        if int(handle) not in self.streams:
            raise BrokenRuleError(f"stream {handle} does not exist, or no longer")
        stream = self.streams[int(handle)]
        if stream.device != self._current():
            raise BrokenRuleError(
                f"a stream of GPU {stream.device} while GPU {self._current()} is used"
            )
        return stream

    def _current(self) -> int:
        return getattr(self._thread, "device", 0)

    def _event(self, handle: int) -> int:
        if int(handle) not in self.events:
            raise BrokenRuleError(f"event {handle} does not exist, or no longer")
        return int(handle)

    @call(1)
    def cudaMalloc(self, size):
        return self.device.allocate("device", size).address

    @call(0)
    def cudaFree(self, devPtr):
        self.device.free(devPtr, ("device",))

    @call(1)
    def cudaHostAlloc(self, size, flags):
        return self.device.allocate("mapped" if flags & 2 else "pinned", size).address

    @call(0)
    def cudaFreeHost(self, ptr):
        self.device.free(ptr, ("pinned", "mapped"))

    @call(1)
    def cudaHostGetDevicePointer(self, pHost, flags):
        memory = self.device.check(pHost, 1)
        return pHost + memory.offset if memory.kind == "mapped" else cudaError_t(1)

    @call(1, loop=True)
    def cudaPointerGetAttributes(self, ptr):
        memory = self.device.find(ptr)
        if memory is None:
            return SimpleNamespace(type=cudaMemoryType(0), device=-2, devicePointer=0)
        kind = cudaMemoryType(2 if memory.kind == "device" else 1)
        seen = 0 if memory.kind == "pinned" else ptr
        if memory.offset and ptr < memory.address + memory.offset:
            seen += memory.offset
        return SimpleNamespace(type=kind, device=0, devicePointer=seen)

    @call(0, loop=True, capture=True)
    def cudaMemcpyAsync(self, dst, src, count, kind, stream):
        host, device = (src, dst) if kind == 1 else (dst, src)
        self.device.visible_to_device(device, count)
        found, memory = self._stream(stream), self.device.find(host)
        if memory is None or memory.kind == "device":
            if found.capture is not None:
                found.capture_broken = True
                return cudaError_t.cudaErrorStreamCaptureUnsupported
            raise BrokenRuleError(f"a copy {kind.name} of memory that is not page-locked waits")

        def run():
            self.device.bytes_at(dst, count)[:] = self.device.bytes_at(src, count)

        seconds = COPY_SECONDS + count / BYTES_PER_SECOND
        work = (f"copy {kind.name[10:]}", [(src, count)], [(dst, count)], run, seconds)
        if found.capture is not None:
            found.capture.append(work)
        else:
            self.device.enter(found, *work)

    @call(1)
    def cudaStreamCreateWithFlags(self, flags):
        stream = Stream(next(self._handles), self._current())
        self.streams[stream.handle] = stream
        return stream.handle

    @call(0)
    def cudaStreamDestroy(self, stream):
        del self.streams[self._stream(stream).handle]

    @call(0)
    def cudaStreamSynchronize(self, stream):
        found = self._stream(stream)
        self.device.run_until(dict(found.clock), found.time)

    @call(0, loop=True, capture=True)
    def cudaStreamWaitEvent(self, stream, event, flags):
        recorded, found = self.events[self._event(event)], self._stream(stream)
        if recorded is not None:  # an event never recorded counts as happened
            clock, time = recorded
            for each, index in clock.items():
                found.clock[each] = max(found.clock.get(each, 0), index)
            found.time = max(found.time, time)

    @call(1)
    def cudaEventCreateWithFlags(self, flags):
        handle = next(self._handles)
        self.events[handle] = None
        return handle

    @call(0)
    def cudaEventDestroy(self, event):
        del self.events[self._event(event)]

    @call(0, loop=True, capture=True)
    def cudaEventRecord(self, event, stream):
        found = self._stream(stream)
        time = max(found.time, self.device.now)
        self.events[self._event(event)] = (dict(found.clock), time)

    @call(0, loop=True)
    def cudaEventSynchronize(self, event):
        recorded = self.events[self._event(event)]
        if recorded is not None:
            self.device.run_until(*recorded)

    @call(1, loop=True)
    def cudaEventElapsedTime(self, start, end):
        first, last = self.events[self._event(start)], self.events[self._event(end)]
        if first is None or last is None or last[1] > self.device.now:
            return cudaError_t.cudaErrorInvalidResourceHandle
        return (last[1] - first[1]) * 1e3

    @call(0)
    def cudaStreamBeginCapture(self, stream, mode):
        found = self._stream(stream)
        found.capture, found.capture_broken = [], False
        found.capture_thread = threading.get_ident()

    @call(1, capture=True)
    def cudaStreamEndCapture(self, stream):
        found = self._stream(stream)
        captured, found.capture = found.capture, None
        if captured is None or found.capture_broken:
            return cudaError_t.cudaErrorStreamCaptureInvalidated
        handle = next(self._handles)
        self.graphs[handle] = captured
        return handle

    @call(1)
    def cudaGraphInstantiate(self, graph, flags):
        handle = next(self._handles)
        self.graphs[handle] = list(self.graphs[graph])
        return handle

    @call(0)
    def cudaGraphDestroy(self, graph):
        del self.graphs[graph]

    cudaGraphExecDestroy = cudaGraphDestroy

    @call(0, loop=True)
    def cudaGraphLaunch(self, graphExec, stream):
        if graphExec not in self.graphs:
            raise BrokenRuleError("a graph is launched that does not exist, or no longer")
        for work in self.graphs[graphExec]:
            self.device.enter(self._stream(stream), *work)


def check_freed(cuda: CudaStandIn) -> None:
    """Nothing is left once what nobody can reach any more is gone."""
    if any(not memory.freed for memory in cuda.device.memories):
        gc.collect()  # what a test's exception still holds
    cuda.assert_all_freed()
