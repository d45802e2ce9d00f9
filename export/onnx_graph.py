"""From a torch module to ONNX files: trace, name, write with and without function bodies.

Opset 18 and IR version 10 are what ONNX Runtime 1.18 and JetPack 6's parser read.
"""

import inspect
import logging
import warnings
from dataclasses import dataclass

import onnx
import onnx_ir as ir
import torch
from torch import nn

from mgdn_edge.export.attention_body import OPERATORS as ATTENTION
from mgdn_edge.export.attention_body import make_attention_function
from mgdn_edge.export.dynamic_filter_body import DOMAIN, OPERATOR, OPSET, make_function
from mgdn_edge.export.graph_names import name_by_module
from mgdn_edge.export.token_bodies import OPERATORS as TOKEN_LAYERS
from mgdn_edge.export.token_bodies import make_token_function

IR_VERSION = 10
MAX_SIDE = 8192  # of the dynamic variant, pixels; a bound the exporter asks for
EXAMPLE_SIZE = (50, 75)  # larger than a window, no multiple of one: tracing specialises on nothing


@dataclass(frozen=True)
class Signature:
    """Graph inputs in order as (name, channels), their element type, and the output's name."""

    inputs: tuple[tuple[str, int], ...]
    dtype: torch.dtype
    output: str


FRAME_SIGNATURE = Signature((("visible", 1), ("infrared", 1)), torch.uint8, "fused")


def trace_graph(network: nn.Module, signature: Signature, multiple: int = 1) -> ir.Model:
    """Torch module -> graph of dynamic height and width with DynamicFilter nodes, named.

    ``multiple`` is for modules that take only sizes of that multiple, in pixels.
    """
    height = torch.export.Dim("height", min=2, max=MAX_SIDE // multiple)
    width = torch.export.Dim("width", min=2, max=MAX_SIDE // multiple)
    sides = {2: height, 3: width} if multiple == 1 else {2: multiple * height, 3: multiple * width}
    rows, columns = (side * multiple for side in EXAMPLE_SIZE)
    example = tuple(
        torch.zeros((1, channels, rows, columns), dtype=signature.dtype)
        for _, channels in signature.inputs
    )
    parameters = inspect.signature(network.forward).parameters.values()
    variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    shapes = (sides,) * len(example)
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)  # warns for each torchvision operator we do not use
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's internals and axes that share a name
            program = torch.onnx.export(
                network.eval(),
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=[name for name, _ in signature.inputs],
                output_names=[signature.output],
                dynamic_shapes=(shapes,) if variadic else shapes,
                optimize=True,
                verbose=False,
            )
    finally:
        registration.setLevel(level)
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model: ir.Model = program.model
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "mgdn-edge", None
    name_by_module(model)
    (result,), image = model.graph.outputs, model.graph.inputs[0]
    if image.shape is None or result.shape is None:
        raise RuntimeError("the exporter left a graph input or output without a shape")
    # Cropping back to the input's size, which the exporter writes as a longer expression.
    result.shape = ir.Shape([1, result.shape[1], image.shape[2], image.shape[3]])
    return model


def filter_attributes(model: onnx.ModelProto) -> set[tuple[int, int]]:
    """The (kernel_size, upscale) pairs of the graph's DynamicFilter nodes."""
    found = set()
    for node in model.graph.node:
        if (node.domain, node.op_type) == (DOMAIN, OPERATOR):
            values = {attribute.name: attribute.i for attribute in node.attribute}
            found.add((values["kernel_size"], values.get("upscale", 1)))
    return found


def attention_attributes(model: onnx.ModelProto) -> set[tuple[str, int, int]]:
    """The (operator, heads, window) of the graph's attention nodes."""
    found = set()
    for node in model.graph.node:
        if node.domain == DOMAIN and node.op_type in ATTENTION:
            values = {attribute.name: attribute.i for attribute in node.attribute}
            found.add((node.op_type, values["heads"], values["window"]))
    return found


def to_proto(model: ir.Model, metadata: dict[str, str]) -> onnx.ModelProto:
    """Graph -> checked ONNX model with the function bodies and ``metadata`` in its properties."""
    proto = ir.to_proto(model)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, metadata)
    used = filter_attributes(proto)
    if len(used) > 1:
        raise ValueError(f"one file takes one (kernel_size, upscale), this graph uses {used}")
    for kernel_size, upscale in used:
        proto.functions.append(make_function(kernel_size, upscale))
    attention = sorted(attention_attributes(proto))
    if len({each[1:] for each in attention}) > 1:
        raise ValueError(f"one file takes one (heads, window), this graph uses {attention}")
    for operator, heads, window in attention:
        proto.functions.append(make_attention_function(operator, heads, window))
    for operator in TOKEN_LAYERS:
        if any((node.domain, node.op_type) == (DOMAIN, operator) for node in proto.graph.node):
            proto.functions.append(make_token_function(operator))
    onnx.checker.check_model(proto)
    return proto


def without_bodies(model: onnx.ModelProto) -> onnx.ModelProto:
    """The twin for TensorRT's parser, which looks at local functions before plugins.

    DynamicFilter has a plugin and loses its body; the operations without one keep theirs.
    """
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    kept = [function for function in twin.functions if function.name != OPERATOR]
    del twin.functions[:]
    twin.functions.extend(kept)
    return twin
