"""From frame graphs, decisions and clip points to the files of one target."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx
import onnx_ir as ir

from mgdn_edge.calibration.clip_points import ClipPoints
from mgdn_edge.calibration.qdq import Target, insert_qdq
from mgdn_edge.runtime.backends.onnxruntime_cpu import BACKEND
from mgdn_edge.runtime.bundle.extension import Candidate
from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.reader import Bundle

BACKENDS: dict[Target, str] = {"cpu": BACKEND, "tensorrt": "tensorrt"}


def quantise_model(
    model: bytes, nodes: Collection[str], clips: Mapping[str, ClipPoints], target: Target
) -> bytes:
    """ONNX bytes -> the bytes of the same graph with ``nodes`` in 8 bits, checked."""
    quantised = insert_qdq(read_model(model), nodes, clips, target)
    proto = ir.to_proto(quantised)
    onnx.checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


def read_model(model: bytes) -> ir.Model:
    """ONNX bytes -> graph."""
    return ir.from_proto(onnx.load_model_from_string(model))


def quantise_variants(
    bundle: Bundle, nodes: Collection[str], clips: Mapping[str, ClipPoints], target: Target
) -> list[Candidate]:
    """Every float32 variant of a bundle that ``target`` can use, quantised, with its twin."""
    return [
        Candidate(
            base=variant,
            precision="int8",
            backend=BACKENDS[target],
            model=quantise_model(bundle.read(variant.file), nodes, clips, target),
            model_without_body=quantise_model(
                bundle.read(variant.file_without_body), nodes, clips, target
            ),
        )
        for variant in float_variants(bundle, target)
    ]


def quantised_tensors(model: bytes) -> list[str]:
    """Names of the tensors a quantised graph rounds to 8 bits, in order."""
    proto = onnx.load_model_from_string(model)
    return [node.input[0] for node in proto.graph.node if node.op_type == "QuantizeLinear"]


def float_variants(bundle: Bundle, target: Target) -> list[Variant]:
    """The float32 variants meant for ``target``'s backend."""
    return [
        variant
        for variant in bundle.manifest.variants
        if variant.precision == "fp32" and BACKENDS[target] in variant.backends
    ]


def dynamic_variant(bundle: Bundle) -> Variant:
    """The float32 variant that takes frames of any size: what is observed and judged."""
    for variant in bundle.manifest.variants:
        if variant.precision == "fp32" and variant.height is None:
            return variant
    raise ValueError(f"{bundle.path} has no dynamic float32 variant")
