"""Device arrays and streams of other libraries: PyCUDA, CuPy, torch, numba, cuda.core.

Arrays are taken through the CUDA array interface, versions 2 and 3
(https://nvidia.github.io/numba-cuda/user/cuda_array_interface.html); no library is imported.
"""

from __future__ import annotations

from typing import NamedTuple, SupportsInt

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.cuda.calls import LEGACY_STREAM, Cuda
from mgdn_edge.runtime.picture.frame import Size

STREAM_ATTRIBUTES = ("cuda_stream", "ptr", "handle")  # torch; CuPy; PyCUDA and numba
READABLE = ("device", "managed", "host")  # host memory the GPU sees has a device address


class DevicePlane(NamedTuple):
    """(H, W) uint8 plane the GPU can reach; ``stream`` is the one its last work is in, if any."""

    address: int
    size: Size
    stream: int | None


def read_device_plane(
    cuda: Cuda, name: str, array: object, *, written: bool, alignment: int
) -> DevicePlane:
    """Somebody's device array -> address, size and stream; UserError where it does not fit.

    ``written`` needs a writable array. ``alignment`` is in bytes, what the backend asks of an
    address.
    """
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is None:
        raise UserError(
            f"{name} is a {type(array).__name__} without __cuda_array_interface__; pass a device "
            "array of PyCUDA, CuPy, torch or numba, or host arrays to session.fuse"
        )
    shape, kind = tuple(interface["shape"]), interface["typestr"]
    if len(shape) != 2 or kind != "|u1":
        raise UserError(f"{name} is {kind} of shape {shape}; a (H, W) uint8 plane is needed")
    if min(shape) < 1:
        raise UserError(f"{name} is empty: {shape[1]}x{shape[0]}")
    height, width = shape
    strides = interface.get("strides")
    if strides is not None and tuple(strides) != (width, 1):
        raise UserError(
            f"{name} has strides {tuple(strides)}; rows must follow each other, strides "
            f"({width}, 1): copy it first, such as with ascontiguousarray or contiguous()"
        )
    if interface.get("mask") is not None:
        raise UserError(f"{name} is a masked array; pass its values without the mask")
    address, read_only = interface["data"]
    if written and read_only:
        raise UserError(f"{name} is read-only; pass an array that can be written")
    reached = _reach(cuda, name, int(address))
    if reached % alignment:
        raise UserError(
            f"{name} begins at {reached:#x}, which is not a multiple of {alignment}; pass an array "
            "that begins where its memory was allocated, not a view into it"
        )
    return DevicePlane(reached, (height, width), _read_stream(name, interface.get("stream")))


def stream_handle(stream: object) -> int:
    """A stream of PyCUDA, CuPy, torch, numba or cuda.core, or its number -> CUDA's number of it.

    The default stream, which some call 0, is 1. Raises UserError for anything else.
    """
    handle = stream
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:  # cuda.core's: (version, handle)
        handle = (protocol() if callable(protocol) else protocol)[1]
    else:
        for attribute in STREAM_ATTRIBUTES:
            if hasattr(stream, attribute):
                handle = getattr(stream, attribute)
                break
    handle = getattr(handle, "value", handle)  # numba's is a c_void_p, whose 0 is None
    if handle is None and stream is not None:
        handle = 0
    if isinstance(handle, (bool, float)) or not isinstance(handle, SupportsInt):
        raise UserError(
            f"stream is a {type(stream).__name__}; pass a stream of PyCUDA, CuPy, torch or numba, "
            "or the integer CUDA knows it by"
        )
    return int(handle) or LEGACY_STREAM


def _reach(cuda: Cuda, name: str, address: int) -> int:
    """The address by which our GPU reaches a caller's memory."""
    if not address:
        raise UserError(f"{name} has no memory (its address is 0)")
    facts = cuda.pointer_facts(address)
    if facts.kind not in READABLE or not facts.device_address:
        raise UserError(
            f"{name} is in memory the GPU cannot reach ({facts.kind}); copy it to the device, or "
            "pass host arrays to session.fuse"
        )
    if facts.kind == "device" and facts.device != cuda.device:
        raise UserError(
            f"{name} is on GPU {facts.device} and the session on GPU {cuda.device}; copy it there"
        )
    return facts.device_address


def _read_stream(name: str, stream: object) -> int | None:
    """The interface's stream: None needs no waiting, 0 is ruled out because it is ambiguous."""
    if stream is None:
        return None
    if isinstance(stream, bool) or not isinstance(stream, int) or stream == 0:
        raise UserError(
            f"{name} states stream {stream!r}; the CUDA array interface allows None or a number "
            "from 1 on"
        )
    return stream
