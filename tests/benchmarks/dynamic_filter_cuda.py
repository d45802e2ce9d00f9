"""Time DynamicFilter on the first GPU against a device-to-device copy; prints a Markdown table.

    python tests/benchmarks/dynamic_filter_cuda.py [--repeats 50] [--rounds 7]

Filter and copy take turns in one run, the least time of the rounds counts. Bytes are those that
must move: features, kernels and output once. The share is their bandwidth over the copy's, which
reads and writes 512 MiB; cases that fit into the GPU's cache may exceed it.
"""

import argparse
from functools import partial

import numpy as np
from cuda_driver import Device

from mgdn_edge.plugins.native import cuda_architectures
from mgdn_edge.runtime.measure.timing_loop import TimingLoop
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps

COPY_BYTES = 512 << 20
# (C, H, W, K, upscale, dtype); the goal is at least 80 % for the first.
CASES = [
    (32, 1080, 1920, 7, 1, np.float16),
    (32, 1080, 1920, 7, 1, np.float32),
    (32, 1080, 1920, 5, 1, np.float16),
    (32, 1080, 1920, 7, 4, np.float16),
    (30, 480, 640, 7, 1, np.float16),
    (1, 480, 640, 5, 4, np.float16),
]


def measure(device: Device, case, rounds: int, repeats: int) -> str:
    channels, height, width, k, s, dtype = case
    shape = (1, channels, height, width)
    rng = np.random.default_rng(0)
    feature = rng.standard_normal(shape, np.float32).astype(dtype)
    kernel = rng.standard_normal((1, k * k, height // s, width // s), np.float32).astype(dtype)
    addresses = device.upload(feature), device.upload(kernel), device.allocate(feature.nbytes)
    ends = device.allocate(COPY_BYTES), device.allocate(COPY_BYTES)
    work = partial(device.filter, *addresses, shape, dtype, k, s)
    copy = partial(device.copy, *ends, COPY_BYTES)
    if status := work():
        raise SystemExit(f"mgdn_dynamic_filter_enqueue gave status {status}")
    copy()
    device.synchronize()

    def by_events(enqueue, count):  # one of ``count``, by the GPU's clock
        return lambda turn: FrameStamps(
            copied_out_ns=round(device.milliseconds(enqueue, count) * 1e6)
        )

    loop = TimingLoop([by_events(work, repeats), by_events(copy, repeats // 5 + 1)])
    loop.warm_up(1)
    for _ in loop.take_turns(rounds):
        pass
    filter_ms, copy_ms = (loop.times_ns(index).min() / 1e6 for index in (0, 1))
    byte_count = 2 * feature.nbytes + kernel.nbytes
    reached, possible = byte_count / filter_ms / 1e6, 2 * COPY_BYTES / copy_ms / 1e6
    return (
        f"| {channels}, {height}x{width}, {k}, {s}, {np.dtype(dtype)} | {byte_count / 1e6:.0f} "
        f"| {filter_ms:.3f} | {reached:.0f} | {possible:.0f} | {reached / possible:.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with Device() as device:
        print(f"{device.name()}, kernel for {', '.join(cuda_architectures())}\n")
        print("| C, HxW, K, upscale, storage | MB | ms | GB/s | copy GB/s | share |")
        print("|---|---|---|---|---|---|")
    for case in CASES:
        with Device() as device:
            print(measure(device, case, options.rounds, options.repeats), flush=True)


if __name__ == "__main__":
    main()
