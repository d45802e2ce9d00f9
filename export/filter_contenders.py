"""Ways to compute DynamicFilter, each made ready to be timed in a process of its own.

Every function takes (case, threads) and returns a run without arguments whose operands and result
already have their memory.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.plugins import native
from mgdn_edge.runtime.measure.turns import Work

Operand = npt.NDArray[np.float32] | npt.NDArray[np.float16]
SEED = 20260401


class FilterCase(msgspec.Struct, frozen=True):
    """Sizes of one call; ``dtype`` is "float32" or "float16"."""

    channels: int
    height: int
    width: int
    kernel_size: int = 7
    upscale: int = 1
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """Such as "C=30 640x480 K=7 float32"."""
        scale = f" upscale={self.upscale}" if self.upscale > 1 else ""
        size = f"{self.width}x{self.height}"
        return f"C={self.channels} {size} K={self.kernel_size}{scale} {self.dtype}"

    @property
    def bytes(self) -> int:
        """Of feature, kernel and result together."""
        pixels, taps = self.height * self.width, self.kernel_size**2
        values = 2 * self.channels * pixels + taps * pixels // self.upscale**2
        return values * np.dtype(self.dtype).itemsize


def draw_operands(case: FilterCase) -> tuple[Operand, Operand, Operand]:
    """Feature, kernel and a result to write, every page of them touched."""
    rng = np.random.default_rng(SEED)
    size, s = (case.height, case.width), case.upscale
    feature = rng.standard_normal((1, case.channels, *size), np.float32)
    low = (case.height // s, case.width // s)
    kernel = rng.standard_normal((1, case.kernel_size**2, *low), np.float32)
    stored = [aligned(each.astype(case.dtype)) for each in (feature, kernel)]
    return stored[0], stored[1], aligned(np.ones_like(stored[0]))


def aligned(array: Operand) -> Operand:
    """A copy that begins at a cache line, as runtimes' own tensors do."""
    line = 64
    memory = np.empty(array.nbytes + line, np.uint8)
    begin = -memory.ctypes.data % line
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy


def prepare_native(case: FilterCase, threads: int) -> Work:
    """The native kernel through its C interface."""
    feature, kernel, out = draw_operands(case)
    return partial(
        native.dynamic_filter,
        *(feature, kernel, case.kernel_size, case.upscale),
        threads=threads,
        out=out,
    )


def prepare_copy(case: FilterCase, threads: int) -> Work:
    """Reads and writes as many bytes as the filter reads and writes, each byte once."""
    half = case.bytes // 2 // threads
    sources = [np.ones(half, np.uint8) for _ in range(threads)]
    targets = [np.ones(half, np.uint8) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(np.copyto, targets, sources))


def prepare_body(case: FilterCase, threads: int) -> Work:
    """The ONNX function body in ONNX Runtime, with the session options of the CPU backend."""
    from mgdn_edge.export.dynamic_filter_body import single_filter
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import session_options
    from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph

    feature, kernel, out = draw_operands(case)
    model = single_filter(case.kernel_size, case.upscale, case.dtype)
    session = load_graph(model.SerializeToString(), "the filter", session_options(threads))
    binding = session.io_binding()
    for name, array in (("feature", feature), ("kernel", kernel)):
        binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    binding.bind_output("filtered", "cpu", 0, out.dtype, out.shape, out.ctypes.data)
    held = (feature, kernel, out)  # bound by address
    return lambda: (session.run_with_iobinding(binding), held)


def prepare_unfold(case: FilterCase, threads: int) -> Work:
    """The published formulation in eager PyTorch."""
    import torch

    from mgdn_edge.export.published_filter import published_filter

    torch.set_num_threads(threads)
    feature, kernel, _ = draw_operands(case)
    operands = torch.from_numpy(feature), torch.from_numpy(kernel)

    def run() -> None:
        with torch.inference_mode():
            published_filter(*operands, case.kernel_size, case.upscale)

    return run
