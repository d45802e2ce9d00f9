"""The graphs that measurements run: `python tests/support/measured_graphs.py` writes their files.

They hold nodes and no weights, so that the runtime, which has no onnx package, can ship them.
"""

import itertools
from pathlib import Path

import onnx
from onnx import TensorProto, helper

MEASURE = Path(__file__).parents[2] / "runtime" / "measure"
IR_VERSION, OPSET = 8, 13  # what the oldest ONNX Runtime supported here reads
ADDITIONS = 24  # profiler_cost.KERNELS
FRAME = (1, 1, 480, 640)  # profiler_cost.SHAPE


def product() -> onnx.ModelProto:
    """c = a @ b, (n, n) float32 each: the arithmetic of `mgdn doctor --ceilings`."""
    return _model([helper.make_node("MatMul", ["a", "b"], ["c"], "product")], ("n", "n"))


def additions() -> onnx.ModelProto:
    """c = a + b + b + ...: kernels of one frame's size, to see what the profiler costs each."""
    names = ["a", *(f"t{number}" for number in range(ADDITIONS - 1)), "c"]
    nodes = [
        helper.make_node("Add", [before, "b"], [after], after)
        for before, after in itertools.pairwise(names)
    ]
    return _model(nodes, FRAME)


def _model(nodes, shape) -> onnx.ModelProto:
    a, b, c = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "abc")
    made = helper.make_model(
        helper.make_graph(nodes, "measured", [a, b], [c]),
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(made, full_check=True)
    return made


FILES = {
    MEASURE / "product.onnx": product,
    MEASURE / "profiling" / "additions.onnx": additions,
}

if __name__ == "__main__":
    for path, make in FILES.items():
        path.write_bytes(make().SerializeToString(deterministic=True))
        print(f"{path}: {path.stat().st_size} bytes")
