"""From frame graphs, decisions and clip points to the files of one target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx
import onnx_ir as ir

from mgdn_edge.calibration.clip_points import ClipPoints
from mgdn_edge.calibration.float16 import convert_to_half
from mgdn_edge.calibration.qdq import Target, insert_qdq
from mgdn_edge.runtime.bundle.manifest import Variant
from mgdn_edge.runtime.bundle.onnx_file import rewrite_model
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import BACKEND
from mgdn_edge.runtime.packing.extension import Candidate
from mgdn_edge.runtime.quality.precision_verdict import CandidatePrecision, NodeDecision

BACKENDS: dict[Target, str] = {"cpu": BACKEND, "tensorrt": "tensorrt"}


def lower_model(
    model: bytes,
    decisions: Iterable[NodeDecision],
    clips: Mapping[str, ClipPoints],
    target: Target,
) -> bytes:
    """ONNX bytes -> the same graph with its nodes in the precisions decided, checked."""
    int8, half = (
        {each.node for each in decisions if each.precision == precision}
        for precision in ("int8", "fp16")
    )
    lowered = insert_qdq(read_model(model), int8, clips, target)
    if half:
        lowered = convert_to_half(lowered, half)
    proto = ir.to_proto(lowered)
    onnx.checker.check_model(proto)
    encoded: bytes = proto.SerializeToString(deterministic=True)
    return encoded


def read_model(model: bytes) -> ir.Model:
    """ONNX bytes, strictly read -> graph."""
    return ir.from_proto(onnx.load_model_from_string(rewrite_model(model, "the frame graph")))


def lower_variants(
    bundle: Bundle,
    precision: CandidatePrecision,
    decisions: Sequence[NodeDecision],
    clips: Mapping[str, ClipPoints],
    target: Target,
) -> list[Candidate]:
    """Every float32 variant of a bundle that ``target`` can use, lowered, with its twin."""
    return [
        Candidate(
            base=variant,
            precision=precision,
            backend=BACKENDS[target],
            model=lower_model(bundle.read(variant.file), decisions, clips, target),
            model_without_body=lower_model(
                bundle.read(variant.file_without_body), decisions, clips, target
            ),
        )
        for variant in float_variants(bundle, target)
    ]


def quantised_tensors(model: bytes) -> list[str]:
    """Names of the tensors a quantised graph rounds to 8 bits, in order."""
    proto = onnx.load_model_from_string(model)
    pairs = [node.name for node in proto.graph.node if node.op_type == "QuantizeLinear"]
    return [name.removesuffix("/QuantizeLinear") for name in pairs]


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
