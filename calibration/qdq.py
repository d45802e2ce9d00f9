"""Pass: explicit QuantizeLinear and DequantizeLinear around the nodes that run in 8 bits.

1. Activations get one grid a tensor, weights one a result channel, always symmetric.
2. What an 8-bit node reads comes through a pair; readers of one tensor share it.
3. CPU: activations are uint8 with a zero point, and what an 8-bit node writes, after its Relu, goes
   through a pair for every reader, so that ONNX Runtime takes integer kernels. Biases are int32 at
   the product of the two scales. A MatMul's result stays float.
4. TensorRT: activations are int8 around zero and biases stay float; its parser refuses the rest.
5. Function bodies, names, shapes and metadata stay. What nothing reads any more is removed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes import common

from mgdn_edge.calibration.clip_points import (
    ClipMethod,
    ClipPoints,
    Scheme,
    choose_clip_points,
    make_grid,
)
from mgdn_edge.calibration.node_precisions import follow_relu, has_weights, is_residual, weight_axis
from mgdn_edge.runtime.bundle.ranges import Ranges
from mgdn_edge.runtime.errors import UserError

Target = Literal["cpu", "tensorrt"]
SCHEMES: dict[Target, Scheme] = {"cpu": Scheme.AFFINE, "tensorrt": Scheme.SYMMETRIC}
# Processors without VNNI add two products of a byte and a weight in 16 bits: 2 * 255 * 64 fits,
# twice 127 does not, and another picture would come out there without a word.
WEIGHT_LIMITS: dict[Target, int] = {"cpu": 64, "tensorrt": 127}


def clip_tensors(ranges: Ranges, method: ClipMethod, target: Target) -> dict[str, ClipPoints]:
    """Every observed tensor's clip points for ``target``."""
    return {
        name: choose_clip_points(found, method, SCHEMES[target])
        for name, found in ranges.tensors.items()
    }


def insert_qdq(
    model: ir.Model, nodes: Collection[str], clips: Mapping[str, ClipPoints], target: Target
) -> ir.Model:
    """Frame graph, names of its 8-bit nodes, clip points by tensor -> a new graph.

    UserError where a tensor has no clip points: they are of another network.
    """
    quantised = model.clone()
    insertion = _Insertion(quantised, clips, target)
    for node in list(quantised.graph):
        if node.name in nodes:
            insertion.quantise(node)
    common.RemoveUnusedNodesPass()(quantised)
    return quantised


class _Insertion:
    def __init__(self, model: ir.Model, clips: Mapping[str, ClipPoints], target: Target) -> None:
        self.graph = model.graph
        self.clips = clips
        self.target = target
        self.pairs: dict[ir.Value, ir.Value] = {}
        self.scales: dict[ir.Value, float] = {}
        self.weights: dict[tuple[ir.Value, int], tuple[ir.Value, npt.NDArray[np.float32]]] = {}

    def quantise(self, node: ir.Node) -> None:
        reads = (0, 1) if is_residual(node) and not has_weights(node) else (0,)
        for place in reads:
            value = node.inputs[place]
            assert value is not None
            node.replace_input_with(place, self._pair(value))
        if has_weights(node):
            self._quantise_weights(node)
        if self.target == "cpu" and node.op_type != "MatMul":
            result = follow_relu(node)
            readers = [use for use in result.uses()]
            pair = self._pair(result)
            for use in readers:
                use.node.replace_input_with(use.idx, pair)

    def _pair(self, value: ir.Value) -> ir.Value:
        """``value`` through its pair; a value that comes out of one is returned as it is."""
        if value in self.scales:
            return value
        if value not in self.pairs:
            name = value.name or ""
            if name not in self.clips:
                raise UserError(
                    f"the ranges hold no tensor {name}; they are of another network, "
                    "calibrate this one"
                )
            grid = make_grid(self.clips[name], SCHEMES[self.target])
            kind = np.uint8 if self.target == "cpu" else np.int8
            scale = self._constant(f"{name}_scale", np.array(grid.scale, np.float32))
            zero = self._constant(f"{name}_zero_point", np.array(grid.zero_point, kind))
            into = ir.node("QuantizeLinear", [value, scale, zero], name=f"{name}/QuantizeLinear")
            back = ir.node(
                "DequantizeLinear",
                [into.outputs[0], scale, zero],
                name=f"{name}/DequantizeLinear",
            )
            for made, dtype in ((into, kind), (back, np.float32)):
                made.outputs[0].name = made.name
                made.outputs[0].type = ir.TensorType(ir.DataType.from_numpy(np.dtype(dtype)))
                made.outputs[0].shape = value.shape
            producer = value.producer()
            if producer is None:
                raise ValueError(f"{name} is a graph input; the planes are not quantised")
            self.graph.insert_after(producer, [into, back])
            self.pairs[value] = back.outputs[0]
            self.scales[back.outputs[0]] = grid.scale
        return self.pairs[value]

    def _quantise_weights(self, node: ir.Node) -> None:
        weight, axis = node.inputs[1], weight_axis(node)
        assert weight is not None and weight.const_value is not None
        if (weight, axis) not in self.weights:
            values = weight.const_value.numpy()
            others = tuple(side for side in range(values.ndim) if side != axis)
            limit = WEIGHT_LIMITS[self.target]
            scale = np.abs(values).max(axis=others).astype(np.float32) / np.float32(limit)
            scale = np.where(scale > 0, scale, np.float32(1))
            spread = np.expand_dims(scale, others)
            integers = np.clip(np.rint(values / spread), -limit, limit).astype(np.int8)
            self.weights[weight, axis] = (
                self._dequantised(f"{weight.name}", integers, scale, axis, node),
                scale,
            )
        back, scale = self.weights[weight, axis]
        node.replace_input_with(1, back)
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if self.target == "cpu" and bias is not None and bias.const_value is not None:
            data = node.inputs[0]
            assert data is not None
            steps = np.asarray(self.scales[data] * scale, np.float32)
            integers = np.clip(np.rint(bias.const_value.numpy() / steps), -(2**31), 2**31 - 1)
            name = f"{node.name}/{bias.name}"  # a shared bias has as many scales as readers
            node.replace_input_with(
                2, self._dequantised(name, integers.astype(np.int32), steps, 0, node)
            )

    def _dequantised(
        self,
        name: str,
        integers: npt.NDArray[np.integer],
        scale: npt.NDArray[np.float32],
        axis: int,
        before: ir.Node,
    ) -> ir.Value:
        back = ir.node(
            "DequantizeLinear",
            [
                self._constant(f"{name}_quantized", integers),
                self._constant(f"{name}_scale", scale),
                self._constant(f"{name}_zero_point", np.zeros(scale.shape, integers.dtype)),
            ],
            {"axis": axis},
            name=f"{name}/DequantizeLinear",
        )
        back.outputs[0].name = back.name
        back.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        back.outputs[0].shape = ir.Shape(integers.shape)
        self.graph.insert_before(before, back)
        return back.outputs[0]

    def _constant(self, name: str, values: npt.NDArray[np.generic]) -> ir.Value:
        tensor = ir.tensor(values, name=name)
        value = ir.Value(
            name=name,
            shape=ir.Shape(values.shape),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.graph.register_initializer(value)
        return value
