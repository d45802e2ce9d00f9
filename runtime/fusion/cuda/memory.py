"""Page-locked host planes and device buffers, each owned by one object that frees it.

``pinned`` planes are copied to and from the device by its copy engines; ``mapped`` ones are read
and written by the GPU where they are, which saves the copies where both share one memory.

Managed memory is left out: on a Jetson the CPU must not touch any of it while any kernel runs
(no concurrent managed access), and a slot is filled while another computes.
"""

from __future__ import annotations

import math
import weakref
from typing import Any, Literal

import numpy as np

from mgdn_edge.runtime.fusion.cuda.calls import Cuda
from mgdn_edge.runtime.picture.frame import Plane, Size

MemoryKind = Literal["pinned", "mapped"]


class HostBlock:
    """Page-locked memory of one (H, W) uint8 plane; freed when its last view is gone.

    Views outlive the session that made them: reading ``slot.fused`` too late finds old pixels,
    not a crash. ``device_address`` is where the GPU sees it, None where it does not.
    """

    def __init__(self, cuda: Cuda, size: Size, kind: MemoryKind) -> None:
        self.shape = size
        self.bytes = math.prod(size)
        self.address = cuda.allocate_host(self.bytes, mapped=kind == "mapped")
        # At exit the driver frees everything, perhaps before Python would.
        weakref.finalize(self, cuda.free_host, self.address).atexit = False
        self.device_address = cuda.device_address(self.address) if kind == "mapped" else None

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": "|u1",
            "data": (self.address, False),
            "version": 3,
        }


class HostPlane(np.ndarray[tuple[int, int], np.dtype[np.uint8]]):
    """A plane in page-locked memory; a mapped one, and every view of it, is a device array, too.

    PyCUDA, CuPy, torch and numba take it through ``__cuda_array_interface__``, without a copy.
    """

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        block = find_block(self)
        if block is None or block.device_address is None:
            raise AttributeError("only planes in mapped memory are visible to the GPU")
        interface = self.__array_interface__
        address, read_only = interface["data"]
        return {
            "shape": interface["shape"],
            "typestr": interface["typestr"],
            "strides": interface["strides"],
            "data": (block.device_address + address - block.address, read_only),
            "stream": None,  # written by the CPU, or complete since ``collect``
            "version": 3,
        }


def allocate_plane(cuda: Cuda, size: Size, kind: MemoryKind) -> Plane:
    """(height, width) -> (H, W) uint8 plane in page-locked memory, which it keeps alive."""
    plane: Plane = np.asarray(HostBlock(cuda, size, kind)).view(HostPlane)
    return plane


def find_block(plane: Plane) -> HostBlock | None:
    """The memory a plane is a view of; None for a copy or an array of another origin."""
    base: Any = plane
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, HostBlock) else None


class DeviceBuffer:
    """Device memory, freed by ``close``."""

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._cuda = cuda
        self.address = cuda.allocate(size)

    def close(self) -> None:
        """Free it; the GPU must be done with it."""
        address, self.address = self.address, 0
        if address:
            self._cuda.free(address)
