"""GraphFacts of a fixed-size frame graph: shapes, bytes and arithmetic of every node."""

from math import prod

import numpy as np
import onnx
from onnx import helper

from mgdn_edge.export.attention_body import OPERATORS as ATTENTION
from mgdn_edge.export.dynamic_filter_body import DOMAIN, OPERATOR
from mgdn_edge.export.token_bodies import OPERATORS as TOKEN_LAYERS
from mgdn_edge.plugins.token_layers import LINEAR
from mgdn_edge.runtime.bundle.graph_facts import GraphFacts, NodeFacts, TensorFacts

# Operators that move or view data; everything else not named below costs one operation per
# output element.
NO_ARITHMETIC = {
    *("Cast", "Concat", "Constant", "Expand", "Flatten", "Gather", "Identity", "Pad", "Range"),
    *("Reshape", "Shape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
}
# Operations per output element: additions, comparisons, an exponential or division counted one.
PER_ELEMENT = {"Softmax": 5, "LayerNormalization": 8, "Erf": 1, "Sigmoid": 3, "Resize": 7}
GELU_FLOPS = 5  # two products, a quotient, erf and a sum
INTERPOLATION_FLOPS = 7  # per bilinear sample: three lerps of two operations and one weight


def measure_graph_facts(model: onnx.ModelProto, network: str, variant: str) -> GraphFacts:
    """Frame graph of a fixed size, with its function body -> facts of its nodes in order.

    Raises ValueError where a tensor's shape is unknown, naming the node.
    """
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    tensors = tensor_facts(inferred)
    nodes = []
    for node in model.graph.node:
        for name in (*node.input, *node.output):
            if name and name not in tensors:
                raise ValueError(f"node {node.name}: the shape of {name} is unknown")
        inputs = tuple(tensors[name] for name in node.input if name)
        outputs = tuple(tensors[name] for name in node.output if name)
        nodes.append(
            NodeFacts(
                name=node.name,
                module=node.name.rpartition("/")[0],
                operator=f"{node.domain}::{node.op_type}" if node.domain else node.op_type,
                inputs=inputs,
                outputs=outputs,
                bytes_read=sum(byte_count(tensor) for tensor in inputs),
                bytes_written=sum(byte_count(tensor) for tensor in outputs),
                flops=node_flops(node, inputs, outputs),
            )
        )
    image = tensors[model.graph.input[0].name]
    return GraphFacts(
        network=network,
        variant=variant,
        height=image.shape[2],
        width=image.shape[3],
        nodes=tuple(nodes),
        total_flops=sum(node.flops for node in nodes),
        peak_activation_bytes=peak_activation_bytes(model, tensors),
    )


def tensor_facts(model: onnx.ModelProto) -> dict[str, TensorFacts]:
    """Name -> shape and type of every tensor of a model with inferred shapes."""
    facts = {}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        tensor = value.type.tensor_type
        sides = tensor.shape.dim
        if all(side.HasField("dim_value") for side in sides):
            shape = tuple(side.dim_value for side in sides)
            facts[value.name] = TensorFacts(value.name, shape, dtype_name(tensor.elem_type))
    for weight in model.graph.initializer:
        facts[weight.name] = TensorFacts(
            weight.name, tuple(weight.dims), dtype_name(weight.data_type)
        )
    return facts


def dtype_name(element_type: int) -> str:
    """ONNX element type -> its numpy name, such as "float32"."""
    return str(helper.tensor_dtype_to_np_dtype(element_type))


def byte_count(tensor: TensorFacts) -> int:
    """Bytes of a dense tensor."""
    return prod(tensor.shape) * int(np.dtype(tensor.dtype).itemsize)


def node_flops(
    node: onnx.NodeProto, inputs: tuple[TensorFacts, ...], outputs: tuple[TensorFacts, ...]
) -> int:
    """Arithmetic operations of one node; a multiply-add is two."""
    elements = prod(outputs[0].shape) if outputs else 0
    if (node.domain, node.op_type) == (DOMAIN, OPERATOR):
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        taps = int(attributes["kernel_size"]) ** 2
        batch, _, height, width = outputs[0].shape
        interpolated = batch * taps * height * width if attributes.get("upscale", 1) > 1 else 0
        return 2 * taps * elements + INTERPOLATION_FLOPS * interpolated
    if node.domain == DOMAIN and node.op_type in ATTENTION:
        # Every token meets the T of its window: a product over d, bias and softmax per head, and
        # the sum of values.
        _, tokens, _ = inputs[1].shape
        size = inputs[0].shape[-1] // 3 // inputs[1].shape[0]
        return elements * tokens * 4 + elements // size * tokens * (1 + PER_ELEMENT["Softmax"])
    if node.domain == DOMAIN and node.op_type in TOKEN_LAYERS:
        return token_flops(node.op_type, inputs)
    if node.op_type == "Conv":
        weight = inputs[1].shape
        return 2 * elements * prod(weight[1:]) + (elements if len(inputs) > 2 else 0)
    if node.op_type in ("MatMul", "Gemm"):
        return 2 * elements * inputs[0].shape[-1] + (elements if len(inputs) > 2 else 0)
    if node.op_type in NO_ARITHMETIC:
        return 0
    if node.op_type.startswith("Reduce"):
        return prod(inputs[0].shape)
    return PER_ELEMENT.get(node.op_type, 1) * elements


def token_flops(operator: str, inputs: tuple[TensorFacts, ...]) -> int:
    """Arithmetic of an operation's layer norm, linear layers, GELU and residuals."""
    *pixels, channels = inputs[0].shape
    hidden = inputs[4].shape[0]
    per_token = PER_ELEMENT["LayerNormalization"] * channels + linear_flops(channels, hidden)
    if operator != LINEAR:
        per_token += linear_flops(channels, channels) + linear_flops(hidden, channels)
        per_token += GELU_FLOPS * hidden + 2 * channels
    return prod(pixels) * per_token


def linear_flops(channels: int, results: int) -> int:
    """Of one token, with the bias."""
    return (2 * channels + 1) * results


def peak_activation_bytes(model: onnx.ModelProto, tensors: dict[str, TensorFacts]) -> int:
    """Largest sum of live activations in bytes when nodes run in file order, nothing in place."""
    weights = {weight.name for weight in model.graph.initializer}
    order = list(model.graph.node)
    last_use = {value.name: len(order) for value in model.graph.output}
    for position, node in enumerate(order):
        for name in node.input:
            last_use[name] = max(last_use.get(name, -1), position)
    live = sum(byte_count(tensors[value.name]) for value in model.graph.input)
    peak = live
    for position, node in enumerate(order):
        live += sum(byte_count(tensors[name]) for name in node.output if name)
        peak = max(peak, live)
        finished = {name for name in node.input if name and name not in weights}
        live -= sum(byte_count(tensors[n]) for n in finished if last_use[n] == position)
    return peak
