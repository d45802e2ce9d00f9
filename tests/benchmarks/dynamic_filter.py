"""Time DynamicFilter natively, as its function body, and copying the same bytes, in turns.

    python tests/benchmarks/dynamic_filter.py [--rounds 15] [--threads 2]

Native and body run in ONNX Runtime with the options of the CPU backend, results bound, pages
kept. The copy reads and writes, with all threads, as many bytes as the filter reads and writes.
Wall and processor time per call: minimum and median, ratios of minima to the native ones.
"""

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from mgdn_edge.export.function_body import OPSET, make_function
from mgdn_edge.plugins import native
from mgdn_edge.runtime.page_retention import retain_pages

HEIGHT, WIDTH = 480, 640
# (N, C, K, upscale)
CASES = [(1, 30, 7, 1), (1, 32, 7, 1), (2, 1, 3, 4), (2, 1, 5, 4), (1, 1, 5, 4)]


def build_model(kernel_size: int, upscale: int) -> bytes:
    names = ["feature", "kernel", "filtered"]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in names]
    node = helper.make_node(
        "DynamicFilter",
        names[:2],
        names[2:],
        domain="mgdn",
        kernel_size=kernel_size,
        upscale=upscale,
    )
    graph = helper.make_graph([node], "filter", values[:2], values[2:])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("mgdn", 1)]
    function = make_function(kernel_size, upscale)
    return helper.make_model(
        graph, functions=[function], opset_imports=opsets, ir_version=10
    ).SerializeToString()


def open_run(model: bytes, arrays, out, threads: int, registered: bool):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if registered:
        options.register_custom_ops_library(str(native.find_library()))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in zip(("feature", "kernel"), arrays, strict=True):
        binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
    binding.bind_output("filtered", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    return partial(session.run_with_iobinding, binding)


def copy_run(byte_count: int, pool: ThreadPoolExecutor, threads: int):
    parts = [np.ones(byte_count // 2 // threads, np.uint8) for _ in range(threads)]
    targets = [np.ones_like(part) for part in parts]
    return lambda: list(pool.map(np.copyto, targets, parts))


def measure(case, rounds: int, threads: int, pool: ThreadPoolExecutor) -> None:
    n, c, k, s = case
    rng = np.random.default_rng(0)
    feature = rng.standard_normal((n, c, HEIGHT, WIDTH), np.float32)
    kernel = rng.standard_normal((n, k * k, HEIGHT // s, WIDTH // s), np.float32)
    outs = [np.empty_like(feature) for _ in range(2)]
    model = build_model(k, s)
    runs = {
        "native": open_run(model, (feature, kernel), outs[0], threads, registered=True),
        "function body": open_run(model, (feature, kernel), outs[1], threads, registered=False),
        "copy": copy_run(2 * feature.nbytes + kernel.nbytes, pool, threads),
    }
    times = {name: ([], []) for name in runs}
    for turn in range(rounds + 2):
        for name, run in runs.items():
            begin, busy = time.perf_counter(), time.process_time()
            run()
            if turn >= 2:
                times[name][0].append((time.perf_counter() - begin) * 1e3)
                times[name][1].append((time.process_time() - busy) * 1e3)
    np.testing.assert_allclose(outs[0], outs[1], atol=1e-4)
    print(f"N={n} C={c} K={k} upscale={s}: wall ms min/median, processor ms min/median, ratios")
    base = [min(series) for series in times["native"]]
    for name, both in times.items():
        cells = [f"{min(series):8.2f} /{statistics.median(series):8.2f}" for series in both]
        ratios = [f"{min(series) / least:6.2f}" for series, least in zip(both, base, strict=True)]
        print(f"  {name:14}{'  '.join(cells)}  {'  '.join(ratios)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    retain_pages()
    print(f"ONNX Runtime {onnxruntime.__version__}, {native.best_implementation().name}")
    with ThreadPoolExecutor(options.threads) as pool:
        for case in CASES:
            measure(case, options.rounds, options.threads, pool)


if __name__ == "__main__":
    main()
