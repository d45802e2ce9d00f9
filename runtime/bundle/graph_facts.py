"""GraphFacts: what one frame graph computes, node by node, recorded at export.

Written as ``graph.json``; profiling and prediction read it, so the runtime needs neither torch
nor onnx to know a layer's shapes, bytes and arithmetic.
"""

import msgspec

GRAPH_FACTS_SCHEMA = 1


class TensorFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor: its name in the graph, shape in elements, and ONNX dtype name ("float32")."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class NodeFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node: ``module`` is the dotted torch path it came from, ``operator`` "domain::Type".

    The domain is left out for standard operators ("Conv", "mgdn::DynamicFilter"). Bytes count
    each input (weights included) and output once; a multiply-add counts as two flops.
    """

    name: str
    module: str
    operator: str
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    bytes_read: int
    bytes_written: int
    flops: int


class GraphFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The frame graph at one size, ``height`` x ``width`` pixels, nodes in execution order.

    ``peak_activation_bytes`` is the largest sum of live activations over the execution order.
    """

    network: str
    variant: str
    height: int
    width: int
    nodes: tuple[NodeFacts, ...]
    total_flops: int
    peak_activation_bytes: int
    schema: int = GRAPH_FACTS_SCHEMA


def encode_graph_facts(facts: GraphFacts) -> bytes:
    """GraphFacts -> the indented JSON of ``graph.json``, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n"


def decode_graph_facts(text: str | bytes) -> GraphFacts:
    """JSON -> GraphFacts; raises msgspec.ValidationError on unknown or wrong fields."""
    return msgspec.json.decode(text, type=GraphFacts)
