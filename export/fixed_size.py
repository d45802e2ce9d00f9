"""Pass: a dynamic graph becomes one of a fixed height and width.

1. The inputs get their size, so every Shape of an input is a constant.
2. Constants are propagated, results of up to FOLD_LIMIT elements stored: all size arithmetic
   goes, tables such as window masks stay computed, so files hold weights and not tables.
3. What nothing reads is removed.
"""

import onnx_ir as ir
import onnxscript.optimizer
from onnx_ir.passes import common

FOLD_LIMIT = 4096  # elements; index vectors of a side of 4096 pixels are the largest we want


def fix_size(model: ir.Model, height: int, width: int) -> ir.Model:
    """Graph with (1, C, height, width) symbolic inputs -> a new graph of that size in pixels."""
    fixed = model.clone()
    for node in fixed.graph:
        for value in node.outputs:
            value.shape = None  # stale symbolic shapes; inferred anew by whoever needs them
    for value in fixed.graph.inputs:
        if value.shape is None:
            raise ValueError(f"input {value.name} has no shape")
        value.shape = ir.Shape([value.shape[0], value.shape[1], height, width])
    for value in fixed.graph.outputs:
        value.shape = ir.Shape([1, 1, height, width])
    onnxscript.optimizer.fold_constants(
        fixed, onnx_shape_inference=False, input_size_limit=FOLD_LIMIT, output_size_limit=FOLD_LIMIT
    )
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(fixed)
    common.RemoveUnusedNodesPass()(fixed)
    common.RemoveUnusedOpsetsPass()(fixed)
    return fixed
