"""Timeline: what one backend measured of a frame, before anything is known of the network."""

from __future__ import annotations

import msgspec

# Kernels that only change how a tensor lies in memory: ONNX Runtime's blocked channels and back,
# and transposes. TensorRT's reformats are named so by its adapter.
LAYOUT_OPERATORS = frozenset({"ReorderInput", "ReorderOutput", "Transpose", "Reformat"})
# Another shape for the same memory: no byte moves.
VIEW_OPERATORS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})


class Kernel(msgspec.Struct, frozen=True):
    """One kernel of a frame, mean over the frames kept.

    ``nodes`` are names of ONNX nodes the backend says are in it, perhaps none; a pair in
    ``ranges`` means every node from the first to the last in the graph's order. ``bytes`` is
    what it reads and writes, weights included, None where the backend does not say.
    """

    name: str
    operator: str
    ns: float
    nodes: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    bytes: int | None = None

    @property
    def is_layout(self) -> bool:
        """Whether it only moves data into another layout."""
        return self.operator in LAYOUT_OPERATORS


class Timeline(msgspec.Struct, frozen=True):
    """Kernels in the order they ran, and the rest of a frame's nanoseconds.

    ``between_ns`` lies between kernels (the executor's bookkeeping),
    ``session_ns`` outside them (inputs, outputs, the call). ``profiler_ns`` is what profiling
    added and the others leave out. All are means over the same ``frames`` frames, so they add up
    to the frame as it was profiled.
    """

    kernels: tuple[Kernel, ...]
    between_ns: float
    session_ns: float
    frames: int
    profiler_ns: float = 0.0

    @property
    def kernels_ns(self) -> float:
        """All kernels together."""
        return sum(kernel.ns for kernel in self.kernels)

    @property
    def total_ns(self) -> float:
        """One frame without the profiler."""
        return self.kernels_ns + self.between_ns + self.session_ns
