"""Which nodes run in 8 bits and which stay float, each with its reason.

In this order:

1. What the caller names (patterns on node names) is done.
2. Our own operations, attention products and normalisations stay float: their sums run over
   thousands of products, or their values have no bound.
3. The first convolution stays float: it sees the planes, and later ones amplify its rounding.
4. A convolution that predicts the kernels of DynamicFilter stays float: nothing normalises them.
5. The last convolution stays float: its rounding is the picture's.
6. Below MIN_PRODUCTS multiplications a value, converting costs more than 8 bits gain.
7. Other convolutions and linear layers run in 8 bits.
8. A residual addition runs in 8 bits where both its sides are 8-bit anyway, else neither is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from math import prod

import onnx_ir as ir

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.quality.precision_verdict import NodeDecision

OUR_DOMAIN = "mgdn"
FILTER = "DynamicFilter"
WEIGHTED = ("Conv", "Gemm", "MatMul")
NORMALIZATION = "InstanceNormalization"
DELICATE = ("LayerNormalization", NORMALIZATION, "Softmax", "ReduceL2", "ReduceMean")
# Operators that hand values on without changing them.
LAYOUT = ("Split", "Concat", "Reshape", "Transpose", "Slice", "Gather", "Identity", "Squeeze")
# The widest 1x1 convolutions of the published network multiply 60 values, its linear layers 30
# to 60; 3x3 convolutions of 30 channels 270.
MIN_PRODUCTS = 64
ASKED = "asked for"  # how the reason of what the caller named begins


def decide_nodes(
    model: ir.Model, *, int8: Sequence[str] = (), keep: Sequence[str] = ()
) -> tuple[NodeDecision, ...]:
    """Frame graph -> one decision for each node that could run in 8 bits or must not, in order.

    ``int8`` and ``keep`` are patterns of node names ("core.blocks.*") that are quantised or stay
    float whatever the rules say. UserError for one that matches no node with weights.
    """
    nodes = list(model.graph)
    _check_patterns([node for node in nodes if has_weights(node)], int8)
    _check_patterns([node for node in nodes if has_weights(node) or is_residual(node)], keep)
    made_in_int8: set[ir.Value | None] = set()
    read_in_int8: set[ir.Value | None] = set()
    decided: dict[str, NodeDecision] = {}
    for node in nodes:
        reason = _reason(node, int8, keep)
        if reason is None:
            continue
        precision, why = reason
        decided[_name(node)] = _decision(node, precision, why)
        if precision == "int8":
            made_in_int8.add(node.outputs[0])
            read_in_int8.add(node.inputs[0])
    for node in nodes:  # in order, as a sum of sums asks for the first
        if not is_residual(node):
            continue
        first, second = node.inputs
        either = {first, second} & made_in_int8
        both = {first, second} <= made_in_int8 | read_in_int8
        if either and both and not _matches(node, keep):
            decided[_name(node)] = _decision(node, "int8", "both sides are 8-bit")
            made_in_int8 |= {node.outputs[0], follow_relu(node)}
        elif either:
            why = "a residual addition with a float side"
            decided[_name(node)] = _decision(node, "fp32", why)
    return tuple(decided[_name(node)] for node in nodes if _name(node) in decided)


def is_residual(node: ir.Node) -> bool:
    """True for an addition of two computed tensors."""
    return node.op_type == "Add" and all(
        value is not None and value.producer() is not None for value in node.inputs
    )


def follow_relu(node: ir.Node) -> ir.Value:
    """A node's result, or that of the Relu that alone reads it."""
    value = node.outputs[0]
    uses = list(value.uses())
    if len(uses) == 1 and uses[0].node.op_type == "Relu" and not value.is_graph_output():
        return uses[0].node.outputs[0]
    return value


def has_weights(node: ir.Node) -> bool:
    """True for a convolution or linear layer whose second input is a constant."""
    if node.op_type not in WEIGHTED or node.domain not in ("", "ai.onnx"):
        return False
    weight = node.inputs[1]
    return weight is not None and weight.const_value is not None


def _reason(node: ir.Node, int8: Sequence[str], keep: Sequence[str]) -> tuple[str, str] | None:
    if node.domain == OUR_DOMAIN:
        return "fp32", f"{node.op_type} computes in float"
    if node.op_type in DELICATE:
        return "fp32", "a normalisation, or a value without bound"
    if node.op_type not in WEIGHTED:
        return None
    if not has_weights(node):
        return "fp32", "a product of two computed tensors"
    precision, why = _rule(node)
    if _matches(node, int8) and precision == "fp32":
        return "int8", f"{ASKED}; the rules keep it float: {why}"
    if _matches(node, keep):
        return "fp32", ASKED
    return precision, why


def _rule(node: ir.Node) -> tuple[str, str]:
    """Rules 3 to 7 for a node with weights."""
    if not any(has_weights(each) for each in _ancestors(node)):
        return "fp32", "the first layer: it sees the planes, and later layers amplify its rounding"
    if _predicts_kernels(node):
        return "fp32", "predicts the kernels of DynamicFilter, which nothing normalises"
    if not any(has_weights(each) for each in _descendants(node)):
        return "fp32", "the last layer: its rounding would be the picture's"
    products = _products(node)
    if products < MIN_PRODUCTS:
        return "fp32", f"{products} products a value: converting would cost more than it gains"
    return "int8", f"{products} products a value"


def _products(node: ir.Node) -> int:
    """Multiplications for one value of the result."""
    weight = node.inputs[1]
    assert weight is not None and weight.const_value is not None
    shape = list(weight.const_value.numpy().shape)
    return int(prod(shape) // shape[weight_axis(node)])


def weight_axis(node: ir.Node) -> int:
    """The axis of a weight along which each index makes its own results."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        transposed = node.attributes.get("transB")
        return 0 if transposed is not None and transposed.as_int() else 1
    return 1


def _predicts_kernels(node: ir.Node) -> bool:
    waiting, seen = list(node.outputs), set()
    while waiting:
        value = waiting.pop()
        for use in value.uses():
            if use.node.op_type == FILTER and use.idx == 1:
                return True
            if use.node.op_type in LAYOUT and use.node not in seen:
                seen.add(use.node)
                waiting += use.node.outputs
    return False


def _ancestors(node: ir.Node) -> Iterable[ir.Node]:
    seen, waiting = set(), [node]
    while waiting:
        for value in waiting.pop().inputs:
            producer = None if value is None else value.producer()
            if producer is not None and producer not in seen:
                seen.add(producer)
                waiting.append(producer)
    return seen


def _descendants(node: ir.Node) -> Iterable[ir.Node]:
    seen, waiting = set(), [node]
    while waiting:
        for value in waiting.pop().outputs:
            for use in value.uses():
                if use.node not in seen:
                    seen.add(use.node)
                    waiting.append(use.node)
    return seen


def _matches(node: ir.Node, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(_name(node), pattern) for pattern in patterns)


def _check_patterns(able: list[ir.Node], patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(_matches(node, [pattern]) for node in able):
            some = ", ".join(_name(node) for node in able[:4])
            raise UserError(f"{pattern} names no layer of this network; it has {some} and so on")


def _name(node: ir.Node) -> str:
    return node.name or ""


def _decision(node: ir.Node, precision: str, why: str) -> NodeDecision:
    name = _name(node)
    operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
    return NodeDecision(name, name.rpartition("/")[0], operator, precision, why)  # type: ignore[arg-type]
