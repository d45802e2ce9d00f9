"""RangeObserver: run a frame graph on pairs and count every float tensor it computes.

The graph is cut into segments that are run one after the other: a segment's tensors are counted
and freed before the next begins, so one pass over the frames serves every calibration method in
memory that does not grow with their number, nor with the network's depth. Tensors inside function
bodies are not seen: our own operations are one node each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from mgdn_edge.calibration.histogram import Histogram
from mgdn_edge.plugins.native import find_library
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import session_options, usable_cpus
from mgdn_edge.runtime.fusion.backends.onnxruntime_graph import load_graph
from mgdn_edge.runtime.pairing.recordings import FramePair

if TYPE_CHECKING:
    import onnxruntime

TENSORS_A_SEGMENT = 8  # at 640x480 with 32 channels 40 MB each
DOMAIN = "mgdn"


class Segment(NamedTuple):
    """A run of nodes: what it reads, what comes out, what of that is counted, and which tensors
    later segments read.
    """

    session: onnxruntime.InferenceSession
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    counted: tuple[str, ...]
    needed: tuple[str, ...]


class RangeObserver:
    """Counts the float tensors of one frame graph, pair by pair."""

    def __init__(self, model: bytes) -> None:
        """A frame graph of dynamic size with its function bodies."""
        proto = onnx.load_model_from_string(rewrite_model(model, "the frame graph"))
        self.segments = cut_segments(proto)
        self.histograms: dict[str, Histogram] = {}

    def add(self, pair: FramePair) -> None:
        """Run one pair; UserError naming tensor and pair where a value is NaN or infinite."""
        alive: dict[str, npt.NDArray[Any]] = {
            "visible": np.ascontiguousarray(pair.visible)[None, None],
            "infrared": np.ascontiguousarray(pair.infrared)[None, None],
        }
        for segment in self.segments:
            feed = {name: alive[name] for name in segment.inputs}
            found = dict(zip(segment.outputs, segment.session.run(None, feed), strict=True))
            del feed
            for name in segment.counted:
                self._count(name, found[name], pair.name)
            alive = {name: (found | alive)[name] for name in segment.needed}

    def _count(self, name: str, values: npt.NDArray[Any], pair: str) -> None:
        try:
            self.histograms.setdefault(name, Histogram()).add(values)
        except ValueError as error:
            raise UserError(
                f"tensor {name} on pair {pair}: {error}; the network itself fails there, so "
                "nothing can be calibrated; check the weights"
            ) from error


def cut_segments(model: onnx.ModelProto) -> list[Segment]:
    """A graph in execution order -> segments of at most TENSORS_A_SEGMENT counted tensors."""
    values = typed_values(model)
    floats = {
        name
        for name, value in values.items()
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    parts: list[list[onnx.NodeProto]] = [[]]
    counted = 0
    for node in model.graph.node:
        if counted >= TENSORS_A_SEGMENT:
            parts.append([])
            counted = 0
        parts[-1].append(node)
        counted += sum(name in floats for name in node.output)
    segments = []
    for index, nodes in enumerate(parts):
        later = {name for part in parts[index + 1 :] for node in part for name in node.input}
        made = [name for node in nodes for name in node.output if name]
        before = {name for part in parts[:index] for node in part for name in node.output}
        before |= {value.name for value in model.graph.input}
        read = {name for node in nodes for name in node.input}
        inputs = tuple(sorted((read - set(made)) & before))
        outputs = tuple(name for name in made if name in floats | later)
        if not outputs:  # the end of the graph: the picture itself is 8-bit and nothing reads it
            continue
        segments.append(
            Segment(
                _open(model, nodes, inputs, outputs, values),
                inputs,
                outputs,
                tuple(name for name in outputs if name in floats),
                tuple(sorted(later & {*made, *before})),
            )
        )
    return segments


def typed_values(model: onnx.ModelProto) -> Mapping[str, onnx.ValueInfoProto]:
    """Tensor name -> what is known of its type and shape, weights left out."""
    inferred = onnx.shape_inference.infer_shapes(model)
    weights = {weight.name for weight in model.graph.initializer}
    values = (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)
    return {value.name: value for value in values if value.name not in weights}


def _open(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    values: Mapping[str, onnx.ValueInfoProto],
) -> onnxruntime.InferenceSession:
    read = {name for node in nodes for name in node.input}
    graph = onnx.helper.make_graph(
        nodes,
        "segment",
        [values[name] for name in inputs],
        [values[name] for name in outputs],
        [weight for weight in model.graph.initializer if weight.name in read],
    )
    part = onnx.helper.make_model(
        graph,
        opset_imports=model.opset_import,
        functions=model.functions,
        ir_version=model.ir_version,
    )
    options = session_options(usable_cpus())
    library = find_library()
    if library is not None:
        options.register_custom_ops_library(str(library))
    return load_graph(part.SerializeToString(), "a part of the graph", options)
