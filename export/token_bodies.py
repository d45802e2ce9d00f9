"""The ONNX function bodies of ``mgdn::NormalizedLinear`` and ``mgdn::ResidualMlp``.

Standard operators of opset 18 for any sizes. plugins/token_layers.py is the specification.
"""

import math

import onnx
from onnx import helper

from mgdn_edge.export.dynamic_filter_body import DOMAIN, OPSET, BodyNodes
from mgdn_edge.plugins.token_layers import EPSILON, LINEAR, MLP

OPERATORS = (LINEAR, MLP)
LINEAR_INPUTS = ["x", "scale", "shift", "weight1", "bias1"]
MLP_INPUTS = [*LINEAR_INPUTS, "weight2", "bias2", "a", "weight0", "bias0"]


def make_token_function(operator: str) -> onnx.FunctionProto:
    """The body of ``operator``, one of OPERATORS."""
    body = BodyNodes()
    if operator == LINEAR:
        layer_norm(body, "x", "normed")
        linear(body, "normed", "1", "result")
    else:
        change = linear(body, "a", "0", "change")
        hidden = body.add("Add", ["x", change], "hidden")
        wide = linear(body, layer_norm(body, hidden, "normed"), "1", "wide")
        change = linear(body, gelu(body, wide), "2", "second_change")
        body.add("Add", [hidden, change], "result")
    return helper.make_function(
        DOMAIN,
        operator,
        inputs=LINEAR_INPUTS if operator == LINEAR else MLP_INPUTS,
        outputs=["result", "normed"] if operator == LINEAR else ["result"],
        nodes=body.nodes,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def layer_norm(body: BodyNodes, value: str, output: str) -> str:
    """Over the last axis."""
    return body.add(
        "LayerNormalization", [value, "scale", "shift"], output, axis=-1, epsilon=EPSILON
    )


def linear(body: BodyNodes, value: str, number: str, output: str) -> str:
    """``value`` times weight ``number`` plus its bias."""
    product = body.add("MatMul", [value, f"weight{number}"], f"{output}_product")
    return body.add("Add", [product, f"bias{number}"], output)


def gelu(body: BodyNodes, value: str) -> str:
    """In the order of factors that ONNX Runtime fuses."""
    scaled = body.add("Div", [value, body.constant("root", math.sqrt(2.0), "float32")], "scaled")
    erf = body.add("Erf", [scaled], "erf")
    share = body.add("Add", [erf, body.constant("one", 1.0, "float32")], "share")
    half = body.add("Mul", [value, body.constant("half", 0.5, "float32")], "half_value")
    return body.add("Mul", [half, share], "activated")
