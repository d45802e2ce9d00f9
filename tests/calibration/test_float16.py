"""Float16 with float32 islands: where they are, that the picture stays, who can read it."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mgdn_edge.calibration.candidate_trial import list_trials
from mgdn_edge.calibration.clip_points import ClipMethod
from mgdn_edge.calibration.float16 import convert_to_half, decide_half
from mgdn_edge.calibration.lowered_models import lower_model, read_model
from mgdn_edge.calibration.node_precisions import decide_nodes
from mgdn_edge.calibration.qdq import clip_tensors
from mgdn_edge.calibration.relu_clip_points import cut_discarded
from mgdn_edge.runtime.bundle.ranges import TensorRange
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.quality.parity import psnr
from mgdn_edge.runtime.quality.precision_verdict import GateLimits


@pytest.fixture(scope="module")
def lowered(edge_models, edge_ranges):
    """Precision -> the 640x480 graph for TensorRT."""
    base = read_model(edge_models["models/dynamic.onnx"])
    trials = list_trials(
        base, edge_ranges, ("tensorrt",), method=ClipMethod(), limits=GateLimits(), turns=1
    )
    clips = cut_discarded(base, clip_tensors(edge_ranges, ClipMethod(), "tensorrt"))
    model = edge_models["models/640x480.onnx"]
    return {t.precision: lower_model(model, t.decisions, clips, "tensorrt") for t in trials}


def element_types(data):
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(data), strict_mode=True)
    return {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}


@pytest.mark.parametrize("precision, least", [("fp16", 60), ("int8", 45)])
def test_the_picture_is_float32s(lowered, edge_models, precision, least):
    scene = draw_scene(480, 640)
    feed = {"visible": scene.visible[None, None], "infrared": scene.infrared[None, None]}
    wanted, got = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feed)[0]
        for model in (edge_models["models/640x480.onnx"], lowered[precision])
    )
    assert psnr(got[0, 0], wanted[0, 0], 255) > least


def test_tensors_are_of_the_type_that_was_decided(lowered):
    types = element_types(lowered["fp16"])
    for name in ("core.stem/Conv", "core.head/Conv", "core.filter/DynamicFilter"):
        assert types[name] == TensorProto.FLOAT16
    types = element_types(lowered["int8"])
    assert types["core.head/Conv"] == TensorProto.FLOAT16
    assert types["core.blocks.0/Conv"] == TensorProto.FLOAT  # between pairs
    assert types["core.blocks.0/Conv/QuantizeLinear"] == TensorProto.INT8


@pytest.mark.rtx
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_nvidias_builder_takes_it(lowered, engine_builder, precision):
    made = engine_builder(lowered[precision])
    assert made.layers > 100 and len(made.engine) > 100_000


def norm_model():
    """x uint8 -> Cast -> *w -> ReduceL2 -> Clip(1e-12) -> Div -> *w -> Cast: a channel norm."""
    nodes = [
        helper.make_node("Cast", ["x"], ["Cast"], to=TensorProto.FLOAT, name="Cast"),
        helper.make_node("Mul", ["Cast", "w"], ["Mul"], name="Mul"),
        helper.make_node("ReduceL2", ["Mul"], ["ReduceL2"], name="ReduceL2", keepdims=1),
        helper.make_node("Clip", ["ReduceL2", "tiny"], ["Clip"], name="Clip"),
        helper.make_node("Div", ["Mul", "Clip"], ["Div"], name="Div"),
        helper.make_node("Mul", ["Div", "w"], ["Mul_1"], name="Mul_1"),
        helper.make_node("Cast", ["Mul_1"], ["y"], to=TensorProto.UINT8, name="Cast_1"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "norm",
        [value("x", TensorProto.UINT8, [4, 900])],
        [value("y", TensorProto.UINT8, [4, 900])],
        [
            numpy_helper.from_array(np.array(50, np.float32), "w"),
            numpy_helper.from_array(np.array(1e-12, np.float32), "tiny"),
        ],
    )
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def reaching(low, high):
    return TensorRange(low, high, 1, 2.0**20, 0, (1,))


def test_islands_are_where_float16_would_fail_and_only_there():
    model = ir.from_proto(norm_model())
    decisions = decide_half(model, {"Div": reaching(0, 1), "Mul": reaching(0, 70000)})
    reasons = {each.node: each.reason for each in decisions if each.precision == "fp32"}
    assert reasons.keys() == {"Mul", "ReduceL2", "Clip", "Div"}
    assert reasons["Mul"] == "Mul reaches 7e+04"
    assert "too small" in reasons["Clip"]
    half = {each.node for each in decisions if each.precision == "fp16"}
    made = ir.to_proto(convert_to_half(model, half))
    onnx.checker.check_model(made, full_check=True)
    casts = [node.name for node in made.graph.node if node.op_type == "Cast"]
    assert casts == ["Cast", "Cast/full", "Div/half", "Cast_1"]
    x = np.random.default_rng(0).integers(0, 256, (4, 900), np.uint8)
    wanted, got = (
        onnxruntime.InferenceSession(
            each.SerializeToString(), providers=["CPUExecutionProvider"]
        ).run(None, {"x": x})[0]
        for each in (norm_model(), made)
    )
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("tensor", ["ReduceL2", "Div"])
def test_a_tensor_beyond_the_limit_keeps_its_maker_and_its_readers(tensor):
    decisions = decide_half(ir.from_proto(norm_model()), {tensor: reaching(-6.1e4, 3)})
    full = {each.node for each in decisions if each.precision == "fp32"}
    readers = {"ReduceL2": {"ReduceL2", "Clip"}, "Div": {"Div", "Mul_1"}}[tensor]
    assert readers <= full


def normalising_model():
    """first -> normalised -> second -> uint8, both convolutions over 16 channels."""
    node = helper.make_node
    nodes = [
        node("Cast", ["visible"], ["x"], "x", to=TensorProto.FLOAT),
        node("Conv", ["x", "core.w0"], ["core.first/Conv"], "core.first/Conv"),
        node("Conv", ["core.first/Conv", "core.w1"], ["core.second/Conv"], "core.second/Conv"),
        node("ReduceMean", ["core.second/Conv"], ["core.norm/Mean"], "core.norm/Mean"),
        node("Sub", ["core.second/Conv", "core.norm/Mean"], ["core.norm/Sub"], "core.norm/Sub"),
        node(
            "InstanceNormalization",
            ["core.norm/Sub", "core.gamma", "core.beta"],
            ["core.norm/N"],
            "core.norm/N",
            epsilon=1e-5,
        ),
        node("Conv", ["core.norm/N", "core.w1"], ["core.third/Conv"], "core.third/Conv"),
        node("Conv", ["core.third/Conv", "core.w2"], ["core.last/Conv"], "core.last/Conv"),
        node("Cast", ["core.last/Conv"], ["fused"], "fused", to=TensorProto.UINT8),
    ]
    random = np.random.default_rng(0)
    shapes = {"w0": (16, 1, 1, 1), "w1": (16, 16, 1, 1), "w2": (1, 16, 1, 1)}
    weights = [
        numpy_helper.from_array(random.normal(0, 0.1, shape).astype(np.float32), f"core.{name}")
        for name, shape in (shapes | {"gamma": (16,), "beta": (16,)}).items()
    ]
    plane = helper.make_tensor_value_info("visible", TensorProto.UINT8, [1, 1, 4, 4])
    fused = helper.make_tensor_value_info("fused", TensorProto.UINT8, [1, 1, 4, 4])
    made = helper.make_model(
        helper.make_graph(nodes, "g", [plane], [fused], weights),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    return ir.from_proto(onnx.shape_inference.infer_shapes(made))


def test_statistics_of_the_image_and_what_they_are_of_stay_float32():
    model = normalising_model()
    half = {each.node: each.precision for each in decide_half(model, {})}
    for name in ("N", "Sub", "Mean"):
        assert half[f"core.norm/{name}"] == "fp32"
    assert half["core.second/Conv"] == "fp32"
    assert half["core.first/Conv"] == half["core.third/Conv"] == "fp16"
    eight_bits = {each.node: each.precision for each in decide_nodes(model)}
    assert eight_bits["core.norm/N"] == "fp32"
