"""Compare ONNX Runtime CPU session options on one frame graph, as ratios to our defaults.

    python tests/benchmarks/onnxruntime_options.py [MODEL.onnx ...] [--size 640x480]

Options are compared on the first model; further ones (the dynamic variant, say) run with our
defaults. Without a model it builds one shaped like mgdn-edge: convolutions at 1/4 resolution,
kernels upsampled by Resize, two 5x5 dynamic filters as 25 Slice-Mul-Add. Sessions take turns
within each round, so a noisy machine disturbs all of them alike. Prints wall and processor time
per frame; "busy" repeats it while another thread keeps one core occupied, as an encoder would.
"""

import argparse
import statistics
import threading
import time
from pathlib import Path

import numpy as np

import mgdn_edge  # noqa: F401 - first: it turns ONNX Runtime's telemetry off

import onnxruntime as ort  # isort: skip

from mgdn_edge.runtime.measure.timing_loop import TimingLoop, time_call

LEVELS = ort.GraphOptimizationLevel
BASE = {
    "threads": 2,
    "arena": True,
    "pattern": False,
    "spin": False,
    "denormal": False,
    "level": LEVELS.ORT_ENABLE_ALL,
    "order": ort.ExecutionOrder.DEFAULT,
    "mode": ort.ExecutionMode.ORT_SEQUENTIAL,
    "binding": True,
}
CASES = {
    "defaults of ours": {},
    "threads 1": {"threads": 1},
    "spinning on": {"spin": True},
    "arena off": {"arena": False},
    "memory pattern on": {"pattern": True},
    "denormals flushed": {"denormal": True},
    "optimisation extended": {"level": LEVELS.ORT_ENABLE_EXTENDED},
    "optimisation basic": {"level": LEVELS.ORT_ENABLE_BASIC},
    "priority order": {"order": ort.ExecutionOrder.PRIORITY_BASED},
    "parallel mode": {"mode": ort.ExecutionMode.ORT_PARALLEL},
    "run() without binding": {"binding": False},
}


def build_model(height: int, width: int, dynamic: bool = False, channels: int = 32) -> bytes:
    from onnx import TensorProto, helper

    rng = np.random.default_rng(0)
    nodes, constants = [], []

    def constant(name, array):
        constants.append(
            helper.make_tensor(
                name,
                helper.np_dtype_to_tensor_dtype(array.dtype),
                array.shape,
                array.tobytes(),
                True,
            )
        )
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def convolution(x, name, c_in, c_out):
        weight = (rng.standard_normal((c_out, c_in, 3, 3)) / (3 * c_in**0.5)).astype(np.float32)
        return node("Conv", [x, constant(f"{name}.w", weight)], name, pads=[1, 1, 1, 1])

    level = constant("level", np.float32(255))
    planes = []
    for name in ("visible", "infrared"):
        cast = node("Cast", [name], f"{name}.float", to=TensorProto.FLOAT)
        planes.append(node("Div", [cast, level], f"{name}.unit"))
    x = node("Concat", planes, "both", axis=1)
    x = node("SpaceToDepth", [x], "quarter", blocksize=4)
    c_in = 32
    for i in range(4):
        x = convolution(x, f"conv{i}", c_in, channels)
        x = node("LeakyRelu", [x], f"act{i}", alpha=0.1)
        c_in = channels
    zero = constant("zero", np.float32(0))
    scales = constant("scales", np.array([1, 1, 4, 4], np.float32))
    pads = constant("pads", np.array([0, 0, 2, 2, 0, 0, 2, 2], np.int64))
    axes = constant("axes", np.array([2, 3], np.int64))
    filtered = []
    for plane in planes:
        kernel = convolution(x, f"{plane}.kernel", channels, 25)
        kernel = node("Resize", [kernel, "", scales], f"{plane}.up", mode="linear")
        taps = [f"{plane}.tap{j}" for j in range(25)]
        nodes.append(helper.make_node("Split", [kernel], taps, axis=1, num_outputs=25))
        padded = node("Pad", [plane, pads], f"{plane}.padded", mode="edge")
        total = None
        for j, tap in enumerate(taps):
            dy, dx = divmod(j, 5)
            start = constant(f"{tap}.start", np.array([dy, dx], np.int64))
            # The end counts from the back so that one file serves every size.
            last = np.array([dy - 4 or 1 << 30, dx - 4 or 1 << 30], np.int64)
            end = constant(f"{tap}.end", last)
            moved = node("Slice", [padded, start, end, axes], f"{tap}.moved")
            product = node("Mul", [moved, tap], f"{tap}.product")
            total = product if total is None else node("Add", [total, product], f"{tap}.sum")
        filtered.append(total)
    x = node("Add", filtered, "mix")
    x = node("Mul", [x, level], "scaled")
    x = node("Round", [node("Clip", [x, zero, level], "clipped")], "rounded")
    node("Cast", [x], "fused", to=TensorProto.UINT8)
    shape = [1, 1, "height", "width"] if dynamic else [1, 1, height, width]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.UINT8, shape)
        for name in ("visible", "infrared", "fused")
    }
    graph = helper.make_graph(
        nodes, "edge", [values["visible"], values["infrared"]], [values["fused"]], constants
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()


def open_runner(model: bytes, size: tuple[int, int], changes: dict):
    settings = {**BASE, **changes}
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    options.inter_op_num_threads = 2 if settings["mode"] == ort.ExecutionMode.ORT_PARALLEL else 1
    options.enable_cpu_mem_arena = settings["arena"]
    options.enable_mem_pattern = settings["pattern"]
    options.graph_optimization_level = settings["level"]
    options.execution_order = settings["order"]
    options.execution_mode = settings["mode"]
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(settings["spin"])))
    options.add_session_config_entry("session.inter_op.allow_spinning", str(int(settings["spin"])))
    options.add_session_config_entry("session.set_denormal_as_zero", str(int(settings["denormal"])))
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    inputs = {
        name: rng.integers(0, 256, (1, 1, *size), dtype=np.uint8)
        for name in ("visible", "infrared")
    }
    if not settings["binding"]:
        return lambda: session.run(None, inputs)
    arrays = {**inputs, "fused": np.empty((1, 1, *size), np.uint8)}
    binding = session.io_binding()
    for name, array in arrays.items():
        bind = binding.bind_output if name == "fused" else binding.bind_input
        bind(name, "cpu", 0, np.uint8, array.shape, array.ctypes.data)

    def run(kept=arrays):  # the binding holds addresses only: 1.23.2 crashes on freed arrays
        session.run_with_iobinding(binding)

    return run


def measure(runners: dict, rounds: int, frames: int) -> dict[str, tuple[float, float]]:
    processor = {name: [] for name in runners}

    def warm_then_timed(name, run):
        def frames_of_one():
            used = time.process_time()
            for _ in range(frames):
                run()
            processor[name].append((time.process_time() - used) / frames)

        timed = time_call(frames_of_one)

        def turn(number):
            run()  # its own data back into the caches
            return timed(number)

        return turn

    loop = TimingLoop([warm_then_timed(*each) for each in runners.items()])
    for _ in loop.take_turns(rounds):
        pass
    return {
        name: (statistics.median(loop.times_ns(index)) / 1e9 / frames, statistics.median(used))
        for index, (name, used) in enumerate(processor.items())
    }


def keep_busy(stop: threading.Event) -> None:
    block = np.random.default_rng(2).random((256, 256)).astype(np.float32)
    while not stop.is_set():
        np.sort(block, axis=None)  # one thread, releases the lock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--frames", type=int, default=5)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    models = {path.name: path.read_bytes() for path in arguments.models}
    if not models:
        models = {
            "static": build_model(height, width),
            "dynamic": build_model(height, width, dynamic=True),
        }
    first, *others = models
    runners = {
        name: open_runner(models[first], (height, width), change) for name, change in CASES.items()
    }
    runners |= {name: open_runner(models[name], (height, width), {}) for name in others}
    for title in ("alone", "busy"):
        stop = threading.Event()
        other = threading.Thread(target=keep_busy, args=(stop,))
        if title == "busy":
            other.start()
        figures = measure(runners, arguments.rounds, arguments.frames)
        stop.set()
        if title == "busy":
            other.join()
        base = next(iter(figures.values()))[0]
        print(f"{title}, {ort.__version__}, {width}x{height}:")
        for name, (wall, processor) in figures.items():
            print(
                f"  {name:24} {wall / base:5.2f} of ours = {wall * 1e3:7.1f} ms wall, "
                f"{processor * 1e3:7.1f} ms processor"
            )


if __name__ == "__main__":
    main()
