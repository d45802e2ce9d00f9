"""SlotWork: what one slot needs on the GPU, made once; PendingFrame: its frame on the way."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import NamedTuple

from mgdn_edge.runtime.fusion.contract.session import Slot
from mgdn_edge.runtime.fusion.cuda.calls import Cuda
from mgdn_edge.runtime.fusion.cuda.memory import DeviceBuffer, find_block
from mgdn_edge.runtime.picture.frame import Plane


class Addresses(NamedTuple):
    """Where the GPU finds the two input planes and writes the fused one."""

    visible: int
    infrared: int
    fused: int


class DeviceTimes(NamedTuple):
    """Milliseconds of one frame on the GPU's own clock; copies are 0 where memory is mapped.

    ``wait`` is from the inputs' arrival to the start: another slot was computing.
    """

    copy_in: float
    wait: float
    infer: float
    copy_out: float


class SlotWork:
    """A slot's device buffers, events and graph; ``close`` frees them.

    ``graph`` is set by the session where the network could be captured.
    """

    def __init__(self, cuda: Cuda, slot: Slot) -> None:
        self._cuda = cuda
        self.size = slot.size
        self.planes: tuple[Plane, Plane, Plane] = (slot.visible, slot.infrared, slot.fused)
        self.bytes = slot.visible.nbytes
        self.graph: object = None
        self._buffers: list[DeviceBuffer] = []
        self._events: list[int] = []
        host, device = [], []
        try:
            for plane in self.planes:
                block = find_block(plane)
                assert block is not None, "slots of this session are allocated by it"
                host.append(block.address)
                if block.device_address is None:
                    self._buffers.append(DeviceBuffer(cuda, self.bytes))
                    device.append(self._buffers[-1].address)
                else:
                    device.append(block.device_address)
            for _ in range(5 if self._buffers else 2):
                self._events.append(cuda.create_event())
        except BaseException:
            self.close()
            raise
        self.host, self.device = Addresses(*host), Addresses(*device)
        self.copies = bool(self._buffers)
        if self.copies:
            self.begun, self.copied_in, self.started, self.inferred, self.done = self._events
        else:
            self.started, self.inferred = self._events
            self.begun = self.copied_in = self.started
            self.done = self.inferred

    def holds(self, slot: Slot) -> bool:
        """Whether the slot's views are still those that were handed out."""
        views = (slot.visible, slot.infrared, slot.fused)
        return all(plane is view for plane, view in zip(self.planes, views, strict=True))

    def times(self) -> DeviceTimes:
        """Of the last frame, which must be complete."""
        milliseconds = self._cuda.milliseconds
        return DeviceTimes(
            milliseconds(self.begun, self.copied_in),
            milliseconds(self.copied_in, self.started),
            milliseconds(self.started, self.inferred),
            milliseconds(self.inferred, self.done),
        )

    def close(self) -> None:
        """Free everything; the GPU must be done with it. Closing twice is harmless."""
        graph, self.graph = self.graph, None
        if graph is not None:
            self._cuda.destroy_graph(graph)
        while self._events:
            self._cuda.destroy_event(self._events.pop())
        while self._buffers:
            self._buffers.pop().close()


class PendingFrame:
    """A frame on its way: ``launched`` is None where it has been enqueued already."""

    def __init__(
        self, cuda: Cuda, slot: Slot, work: SlotWork, launched: Future[None] | None
    ) -> None:
        self._cuda, self._slot, self._work, self._launched = cuda, slot, work, launched

    def result(self) -> None:
        """Wait until the fused plane is in host memory and set the slot's time stamps."""
        if self._launched is not None:
            self._launched.result()
        cuda, work, slot = self._cuda, self._work, self._slot
        with cuda.current():
            cuda.wait_on_host(work.done)
            now = time.perf_counter_ns()
            computed = cuda.milliseconds(work.started, work.done)
        slot.started_ns, slot.finished_ns = now - round(computed * 1e6), now
