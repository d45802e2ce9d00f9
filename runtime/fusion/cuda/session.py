"""CudaSession: slots on a GPU; copies of one slot overlap the inference of another.

Three streams, and events between them, for each frame:

    copy in    copy visible, infrared | copied_in
    compute                             wait copied_in | network | inferred
    copy out                                                       wait inferred | copy fused | done

``collect`` waits for ``done`` and nothing else waits on the host. A slot is filled again only
after that, so no event is needed from the network back to the next copy in. The network itself is
a CUDA graph where it can be captured; the copies stay outside, because a graph is one entry of one
stream and would hold the next slot's copies back. In mapped memory there are no copies.
"""

from __future__ import annotations

import statistics
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future

from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.contract.session import MIN_SLOTS, Session, Slot
from mgdn_edge.runtime.fusion.cuda.calls import Cuda, CudaError
from mgdn_edge.runtime.fusion.cuda.interop import read_device_plane, stream_handle
from mgdn_edge.runtime.fusion.cuda.memory import MemoryKind, allocate_plane
from mgdn_edge.runtime.fusion.cuda.slot_work import Addresses, DeviceTimes, PendingFrame, SlotWork
from mgdn_edge.runtime.picture.frame import Plane, Size

WARMUP_FRAMES, MEASURED_FRAMES = 3, 10
MEASURED_SIZE = (480, 640)  # of networks that take any size


class CudaSession(Session):
    """A network on one GPU. Subclasses open it, call ``start``, and enqueue frames.

    ``memory`` None measures pinned and mapped memory and takes the faster; ``cuda_graph`` False
    launches kernel by kernel. What was chosen and why is in ``execution``.
    """

    alignment = 1  # bytes, of the addresses the network is given
    capture_refused: str | None = None  # why a backend's work cannot become a CUDA graph

    def __init__(
        self,
        cuda: Cuda,
        *,
        slots: int = MIN_SLOTS,
        memory: MemoryKind | None = None,
        cuda_graph: bool = True,
    ) -> None:
        super().__init__(slots)
        self._cuda = cuda
        self._memory: MemoryKind = memory or "pinned"
        self._memory_asked = memory
        self._graph_refused = self.capture_refused or (None if cuda_graph else "not asked for")
        self._work: weakref.WeakKeyDictionary[Slot, SlotWork] = weakref.WeakKeyDictionary()
        self._streams: list[int] = []
        self._exchange: list[int] = []
        self._closed = False
        self.execution["device"] = cuda.describe()
        with cuda.current():
            try:
                for _ in range(3):
                    self._streams.append(cuda.create_stream())
                for _ in range(2):
                    self._exchange.append(cuda.create_event())
            except CudaError:
                self.close()
                raise
        self._copy_in, self.stream, self._copy_out = self._streams

    @abstractmethod
    def enqueue(self, size: Size, planes: Addresses) -> None:
        """Enqueue the network in ``self.stream``, reading and writing the GPU's ``planes``."""

    @abstractmethod
    def release_network(self) -> None:
        """Free the network, with which the GPU is done, while its stream still exists."""

    def run_soon(self, work: Callable[[], None]) -> Future[None] | None:
        """Run ``work``, which enqueues a frame: here now, elsewhere on a thread of its own."""
        work()
        return None

    def start(self, size: Size | None) -> None:
        """Choose the memory of slots; the subclass is ready to enqueue. ``size`` None is any."""
        kinds: tuple[MemoryKind, ...] = ("pinned", "mapped")
        probed = size or MEASURED_SIZE
        if not self._cuda.maps_host_memory or self._memory_asked is not None:
            if self._memory == "mapped" and not self._cuda.maps_host_memory:
                raise DeviceError(f"{self._cuda.name} cannot map host memory; take pinned memory")
            why = "this GPU cannot map host memory"
            self.execution["memory"] = (
                f"{self._memory}, {'as asked for' if self._memory_asked else why}"
            )
            self.time_frames(self._memory, probed, 1)
            return
        times = {
            kind: statistics.median(
                self.time_frames(kind, probed, WARMUP_FRAMES + MEASURED_FRAMES)[WARMUP_FRAMES:]
            )
            for kind in kinds
        }
        self._memory = min(kinds, key=lambda kind: times[kind])
        figures = ", ".join(f"{kind} {times[kind]:.3f} ms" for kind in kinds)
        self.execution["memory"] = (
            f"{self._memory}, the faster: {figures} a frame with its copies "
            f"(median of {MEASURED_FRAMES} at {probed[1]}x{probed[0]})"
        )

    def time_frames(self, kind: MemoryKind, size: Size, frames: int) -> list[float]:
        """Milliseconds of black frames in a slot of its own, each from submit to collected."""
        self._memory = kind
        slot = Slot(size, self.allocate)
        self.prepare(slot)
        slot.visible.fill(0)
        slot.infrared.fill(0)
        times = []
        for _ in range(frames):
            begin = time.perf_counter_ns()
            self.submit(slot)
            self.collect(slot)
            times.append((time.perf_counter_ns() - begin) / 1e6)
        return times

    def allocate(self, size: Size) -> Plane:
        """(H, W) -> uint8 plane in page-locked memory."""
        with self._cuda.current():
            return allocate_plane(self._cuda, size, self._memory)

    def prepare(self, slot: Slot) -> None:
        """Buffers, events and the CUDA graph of a new slot."""
        with self._cuda.current():
            work = SlotWork(self._cuda, slot)
            try:
                ready = self.run_soon(lambda: self._warm_up(work))
                if ready is not None:
                    ready.result()
            except BaseException:
                work.close()
                raise
        self._work[slot] = work
        # A slot of an old size goes when its last user does.
        weakref.finalize(slot, work.close).atexit = False

    def submit(self, slot: Slot) -> None:
        """Start copying and fusing; ``slot.fused`` is complete after ``collect``."""
        work = self._work[slot]
        if not work.holds(slot):
            raise RuntimeError("a slot's views were replaced; write into them: slot.visible[:] = y")
        slot.pending = PendingFrame(
            self._cuda, slot, work, self.run_soon(lambda: self._launch(work))
        )

    def device_times(self, slot: Slot) -> DeviceTimes:
        """The GPU's own times of the frame last collected from ``slot``."""
        return self._work[slot].times()

    def fuse_device(
        self, visible: object, infrared: object, fused: object, stream: object = None
    ) -> None:
        """(H, W) uint8 device arrays of PyCUDA, CuPy, torch or numba: ``fused`` is written.

        Nothing is copied. With ``stream``, a stream of one of these libraries, inputs are read
        after its work so far and its later work sees ``fused``; this returns at once, and the
        arrays must live until then. Without, it waits for the streams the arrays state and
        returns when ``fused`` is complete. Addresses must be multiples of ``alignment``. Raises
        UserError where an array does not fit.
        """
        named = (("visible", visible), ("infrared", infrared), ("fused", fused))
        with self._cuda.current():
            planes = [
                read_device_plane(
                    self._cuda, name, array, written=name == "fused", alignment=self.alignment
                )
                for name, array in named
            ]
            size = planes[0].size
            for (name, _), plane in zip(named[1:], planes[1:], strict=True):
                if plane.size != size:
                    raise UserError(
                        f"{name} is {plane.size[1]}x{plane.size[0]} but visible is "
                        f"{size[1]}x{size[0]}; all three must have one size"
                    )
            self.check_size(size)
            callers = None if stream is None else stream_handle(stream)
            streams = (callers, *(plane.stream for plane in planes))
            before = {each for each in streams if each is not None}
            addresses = Addresses(*(plane.address for plane in planes))
            entered = self.run_soon(lambda: self._exchange_frame(size, addresses, before, callers))
            if entered is not None:
                entered.result()
            if callers is None:
                self._cuda.wait_on_host(self._exchange[1])

    def close(self) -> None:
        """Wait for what was submitted, then free everything but the planes still in use."""
        if self._closed:
            return
        self._closed = True
        if self._cuda.lost:  # it has freed everything itself
            self.release_network()
            return
        with self._cuda.current():
            try:
                for stream in self._streams:
                    self._cuda.synchronize(stream)
            except CudaError:
                # The error is raised where the lost frame is collected.
                if not self._cuda.lost:
                    raise
            self.release_network()
            for work in list(self._work.values()):
                work.close()
            for event in self._exchange:
                self._cuda.destroy_event(event)
            for stream in self._streams:
                self._cuda.destroy_stream(stream)
        self._pool = None

    def _launch(self, work: SlotWork) -> None:
        cuda = self._cuda
        with cuda.current():
            if work.copies:
                cuda.record(work.begun, self._copy_in)
                cuda.copy(
                    work.device.visible, work.host.visible, work.bytes, "to device", self._copy_in
                )
                cuda.copy(
                    work.device.infrared, work.host.infrared, work.bytes, "to device", self._copy_in
                )
                cuda.record(work.copied_in, self._copy_in)
                cuda.wait(self.stream, work.copied_in)
            cuda.record(work.started, self.stream)
            if work.graph is None:
                self.enqueue(work.size, work.device)
            else:
                cuda.launch(work.graph, self.stream)
            cuda.record(work.inferred, self.stream)
            if work.copies:
                cuda.wait(self._copy_out, work.inferred)
                cuda.copy(work.host.fused, work.device.fused, work.bytes, "to host", self._copy_out)
                cuda.record(work.done, self._copy_out)

    def _exchange_frame(
        self, size: Size, addresses: Addresses, before: set[int], callers: int | None
    ) -> None:
        cuda, (entry, exit_) = self._cuda, self._exchange
        with cuda.current():
            for other in before:
                cuda.record(entry, other)
                cuda.wait(self.stream, entry)
            self.enqueue(size, addresses)
            cuda.record(exit_, self.stream)
            if callers is not None:
                cuda.wait(callers, exit_)

    def _warm_up(self, work: SlotWork) -> None:
        """Run the network once, as it sets up lazily; then capture it, or say why it cannot be."""
        with self._cuda.current():
            self.enqueue(work.size, work.device)
            self._cuda.synchronize(self.stream)
            if self._graph_refused is None:
                try:
                    work.graph = self._capture(work)
                except DeviceError as error:
                    if self._cuda.lost:
                        raise
                    self._graph_refused = str(error)
        refused = self._graph_refused
        self.execution["CUDA graph"] = "yes" if refused is None else f"no: {refused}"

    def _capture(self, work: SlotWork) -> object:
        self._cuda.begin_capture(self.stream)
        try:
            self.enqueue(work.size, work.device)
        except BaseException:
            self._cuda.abandon_capture(self.stream)
            raise
        return self._cuda.end_capture(self.stream)
