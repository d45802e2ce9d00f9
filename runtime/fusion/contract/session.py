"""Session and Slot: the one interface every backend and every baseline offers.

    with open_session("mgdn-edge") as session:
        fused = session.fuse(visible, infrared)      # one line, copies
        with session.acquire((480, 640)) as slot:    # no copies: write into the slot's views
            slot.visible[:] = y
            slot.infrared[:] = ir
            session.submit(slot)
            session.collect(slot)
            use(slot.fused)                          # valid until the slot is released

``open_session`` knows bundles and baselines: ``mgdn_edge.runtime.fusion.open_session``.
"""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.picture.frame import Plane, Size

MIN_SLOTS = 2  # one being filled or read while the other is being computed


class Pending(Protocol):
    """A computation under way; a ``concurrent.futures.Future`` is one."""

    def result(self) -> None:
        """Wait until it is done; raise what it raised."""


class Slot:
    """Memory of one frame pair, owned by its session.

    ``visible``, ``infrared`` and ``fused`` are (H, W) uint8 views; they stay valid until the
    slot is released (leaving the ``with`` block). ``started_ns`` and ``finished_ns`` are
    ``time.perf_counter_ns`` stamps around the computation, set by ``collect``.
    """

    def __init__(self, size: Size, allocate: Callable[[Size], Plane]) -> None:
        self.size = size
        self.visible = allocate(size)
        self.infrared = allocate(size)
        self.fused = allocate(size)
        self.started_ns = 0
        self.finished_ns = 0
        self.pending: Pending | None = None
        self._home: queue.SimpleQueue[Slot] | None = None

    def release(self) -> None:
        """Give the slot back to its session; its views must not be used afterwards."""
        if self.pending is not None:
            self.pending.result()
            self.pending = None
        home, self._home = self._home, None
        if home is not None:
            home.put(self)

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Session(ABC):
    """One opened network on one backend. Use from one thread for acquire and submit.

    ``collect`` and ``Slot.release`` may be called from another thread than ``submit``, so a
    writer can wait for a frame while the next one is filled.
    """

    network: str
    backend: str
    variant: str
    precision: str
    # True where every picture gets its own brightness scale, so that a clip would flicker.
    stills_only = False
    # What computes DynamicFilter, None where the network has none.
    filter_implementation: FilterImplementation | None = None

    def __init__(self, slots: int = MIN_SLOTS) -> None:
        self._slot_count = max(slots, MIN_SLOTS)
        # How it computes, by name, for every report: memory, CUDA graph, where nodes run.
        self.execution: dict[str, str] = {}
        self._pool: queue.SimpleQueue[Slot] | None = None
        self._pool_size: Size | None = None

    @abstractmethod
    def check_size(self, size: Size) -> None:
        """Raise UserError if frames of ``size`` (height, width) cannot be fused as they are."""

    @abstractmethod
    def submit(self, slot: Slot) -> None:
        """Start fusing the slot's inputs; returns at once."""

    @abstractmethod
    def close(self) -> None:
        """Release the backend's resources; slots must not be used afterwards."""

    def allocate(self, size: Size) -> Plane:
        """(H, W) -> uninitialised (H, W) uint8 plane in the memory this backend reads best."""
        return np.empty(size, np.uint8)

    def prepare(self, slot: Slot) -> None:  # noqa: B027 - nothing to set up is common
        """What the backend sets up for a new slot, once, so that frames need no allocation."""

    def acquire(self, size: Size) -> Slot:
        """A free slot of ``size`` (height, width); waits until one is released.

        A change of size makes a new set of slots; slots of the old size stay valid until they
        are released. Raises UserError where the variant cannot take the size.
        """
        if self._pool is None or self._pool_size != size:
            if min(size) < 1:
                raise UserError(f"frame size {size[1]}x{size[0]} is empty; at least 1x1 is needed")
            self.check_size(size)
            pool: queue.SimpleQueue[Slot] = queue.SimpleQueue()
            for _ in range(self._slot_count):
                slot = Slot(size, self.allocate)
                self.prepare(slot)
                pool.put(slot)
            self._pool, self._pool_size = pool, size
        slot = self._pool.get()
        slot._home = self._pool
        return slot

    def collect(self, slot: Slot) -> None:
        """Wait until ``slot.fused`` is complete; re-raises what the computation raised."""
        pending, slot.pending = slot.pending, None
        if pending is None:
            raise RuntimeError("collect() without submit() on this slot")
        pending.result()

    def fuse(self, visible: Plane, infrared: Plane) -> Plane:
        """(H, W) uint8 luma, (H, W) uint8 infrared -> (H, W) uint8 fused luma (a new array)."""
        for name, plane in (("visible", visible), ("infrared", infrared)):
            if plane.ndim != 2 or plane.dtype != np.uint8:
                raise UserError(
                    f"{name} is {plane.dtype} of shape {plane.shape}; "
                    "a (H, W) uint8 plane is needed"
                )
        if visible.shape != infrared.shape:
            raise UserError(
                f"visible is {visible.shape[1]}x{visible.shape[0]} but infrared is "
                f"{infrared.shape[1]}x{infrared.shape[0]}; resize one of them first"
            )
        with self.acquire((visible.shape[0], visible.shape[1])) as slot:
            slot.visible[...] = visible
            slot.infrared[...] = infrared
            self.submit(slot)
            self.collect(slot)
            fused: Plane = np.array(slot.fused)
        return fused

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
