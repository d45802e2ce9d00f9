"""Pass: a dynamic graph becomes one of a fixed height and width.

1. The inputs get their size, so every Shape of an input is a constant.
2. Constants are propagated, results of up to FOLD_LIMIT elements stored: all size arithmetic
   goes, tables such as window masks stay computed, so files hold weights and not tables.
3. Shapes are inferred; our own operations' results have shapes that follow from their inputs'.
4. A Gather or Slice that takes a whole axis in order is bypassed: padding and cropping of a
   size that needs none, which cost 1.2 ms a plane at 640x480 on a CPU core.
5. What nothing reads is removed.
"""

import numpy as np
import onnx_ir as ir
import onnxscript.optimizer
from onnx_ir.passes import common

from mgdn_edge.export.attention_body import OPERATORS as ATTENTION
from mgdn_edge.export.dynamic_filter_body import DOMAIN
from mgdn_edge.plugins.token_layers import LINEAR

FOLD_LIMIT = 4096  # elements; index vectors of a side of 4096 pixels are the largest we want


def fix_size(model: ir.Model, height: int, width: int) -> ir.Model:
    """Graph with (1, C, height, width) symbolic inputs -> a new graph of that size in pixels."""
    fixed = model.clone()
    for node in fixed.graph:
        for value in node.outputs:
            value.shape = None  # symbolic shapes of the dynamic graph
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
    infer_shapes(fixed)
    for node in list(fixed.graph):
        if takes_whole_axes(node):
            source = node.inputs[0]
            if source is None or node.outputs[0].is_graph_output():
                continue
            node.outputs[0].replace_all_uses_with(source)
            fixed.graph.remove(node, safe=True)
    common.RemoveUnusedNodesPass()(fixed)
    common.RemoveUnusedOpsetsPass()(fixed)
    return fixed


def infer_shapes(model: ir.Model) -> None:
    """Shapes of every value, in place, through our own operations one after the other."""
    common.ShapeInferencePass(data_prop=True)(model)
    for node in model.graph:
        source = node.inputs[0] if node.inputs else None
        if source is None or source.shape is None or node.domain != DOMAIN:
            continue
        *pixels, width = source.shape
        for output in node.outputs:
            output.shape, output.type = source.shape, source.type
        if node.op_type in ATTENTION:
            node.outputs[0].shape = ir.Shape([*pixels, width // 3])
        if node.op_type == LINEAR:
            bias = node.inputs[-1]
            if bias is None or bias.shape is None:
                raise ValueError(f"node {node.name}: the shape of its bias is unknown")
            node.outputs[0].shape = ir.Shape([*pixels, bias.shape[0]])
        common.ShapeInferencePass(data_prop=True)(model)


def takes_whole_axes(node: ir.Node) -> bool:
    """True for a Gather or Slice whose result is its first input, by its constant operands."""
    data = node.inputs[0] if node.inputs else None
    if data is None or data.shape is None:
        return False
    if node.op_type == "Gather":
        indices = constant_values(node.inputs[1])
        if indices is None or indices.ndim != 1:
            return False
        length = data.shape[node.attributes["axis"].as_int() if "axis" in node.attributes else 0]
        return isinstance(length, int) and np.array_equal(indices, np.arange(length))
    if node.op_type == "Slice":
        starts, ends, axes = (constant_values(value) for value in node.inputs[1:4])
        steps = constant_values(node.inputs[4]) if len(node.inputs) > 4 else np.array([1])
        if starts is None or ends is None or axes is None or steps is None:
            return False
        lengths = [data.shape[int(axis)] for axis in axes]
        return all(
            start == 0 and step == 1 and isinstance(length, int) and end >= length
            for start, end, step, length in zip(
                starts, ends, np.broadcast_to(steps, starts.shape), lengths, strict=True
            )
        )
    return False


def constant_values(value: ir.Value | None) -> np.ndarray | None:
    """The array of a constant value, else None."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()
