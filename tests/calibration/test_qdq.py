"""What the inserted pairs are, that they compute what their numbers say, and who can read them."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mgdn_edge.calibration.clip_points import ClipMethod, ClipPoints, Scheme, make_grid, quantise
from mgdn_edge.calibration.lowered_models import lower_model, quantised_tensors, read_model
from mgdn_edge.calibration.node_precisions import decide_nodes
from mgdn_edge.calibration.qdq import clip_tensors, insert_qdq
from mgdn_edge.calibration.relu_clip_points import cut_discarded
from mgdn_edge.plugins.native import find_library
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.quality.parity import psnr
from mgdn_edge.runtime.quality.precision_verdict import NodeDecision

FILES = ("models/640x480.onnx", "models/dynamic.onnx", "models/640x480.plugin.onnx")
TARGETS = ("cpu", "tensorrt")
FIRST_BLOCK = [NodeDecision("core.blocks.0/Conv", "core.blocks.0", "Conv", "int8", "for a test")]


@pytest.fixture(scope="session")
def quantised(edge_models, edge_ranges):
    """(file, target) -> the quantised bytes."""
    base = read_model(edge_models["models/dynamic.onnx"])
    return {
        (file, target): lower_model(
            edge_models[file],
            decide_nodes(base),
            cut_discarded(base, clip_tensors(edge_ranges, ClipMethod(), target)),
            target,
        )
        for file in FILES
        for target in TARGETS
    }


def constants(model):
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("file", FILES)
def test_layers_in_8_bits_read_pairs_and_the_rest_does_not(quantised, edge_models, file, target):
    model = onnx.load_model_from_string(quantised[file, target])
    made_by = {name: node for node in model.graph.node for name in node.output}
    for name in ("core.blocks.0/Conv", "core.blocks.1/Conv", "core.blocks.2/Conv"):
        (node,) = (each for each in model.graph.node if each.name == name)
        assert [made_by[n].op_type for n in node.input[:2]] == ["DequantizeLinear"] * 2
    for name in ("core.stem/Conv", "core.head/Conv"):
        (node,) = (each for each in model.graph.node if each.name == name)
        assert node.input[1] == f"{name.removesuffix('/Conv')}.weight"
    before = onnx.load_model_from_string(edge_models[file])
    assert [f.name for f in model.functions] == [f.name for f in before.functions]
    assert model.metadata_props == before.metadata_props
    assert (model.ir_version, model.opset_import) == (before.ir_version, before.opset_import)
    assert [v.SerializeToString() for v in (*model.graph.input, *model.graph.output)] == [
        v.SerializeToString() for v in (*before.graph.input, *before.graph.output)
    ]
    kept = {node.name for node in model.graph.node}
    assert {node.name for node in before.graph.node} <= kept


def test_what_tensorrt_refuses_is_not_written(quantised):
    model = onnx.load_model_from_string(quantised["models/640x480.onnx", "tensorrt"])
    values = constants(model)
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = values[node.input[2]]
            assert zero.dtype == np.int8 and not zero.any()
    biases = [n.input[2] for n in model.graph.node if n.op_type == "Conv"]
    assert all(values[name].dtype == np.float32 for name in biases)
    assert not any("zero_point" in name and v.dtype == np.int32 for name, v in values.items())


def test_weights_fit_processors_that_add_in_16_bits(quantised):
    for (_, target), data in quantised.items():
        values = constants(onnx.load_model_from_string(data))
        weights = [v for name, v in values.items() if name.endswith("weight_quantized")]
        assert len(weights) == 3
        limit = 64 if target == "cpu" else 127
        for weight in weights:
            assert np.abs(weight).max(axis=(1, 2, 3)).tolist() == [limit] * len(weight)


def run(model, optimise=True):
    options = onnxruntime.SessionOptions()
    if not optimise:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    scene = draw_scene(480, 640)
    feed = {"visible": scene.visible[None, None], "infrared": scene.infrared[None, None]}
    return session.run(None, feed)[0][0, 0]


@pytest.mark.parametrize("target", TARGETS)
def test_the_picture_is_float32s_and_integer_kernels_give_it(quantised, edge_models, target):
    data = quantised["models/640x480.onnx", target]
    wanted = run(edge_models["models/640x480.onnx"])
    got, in_float = run(data), run(data, optimise=False)
    assert psnr(got, wanted, 255) > 45
    # The bound of runtime/packing/extension.py's tolerance, with room.
    assert np.abs(got.astype(int) - in_float).max() <= 4


def test_onnx_runtime_takes_integer_kernels(quantised, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.register_custom_ops_library(str(find_library())) if find_library() else None
    data = quantised["models/640x480.onnx", "cpu"]
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert nodes.count("QLinearConv") == 3 and nodes.count("QLinearAdd") >= 2


@pytest.mark.rtx
def test_nvidias_builder_takes_it(quantised, engine_builder):
    made = engine_builder(quantised["models/640x480.onnx", "tensorrt"])
    assert made.layers > 100 and len(made.engine) > 100_000


@pytest.mark.rtx
def test_nvidias_parser_refuses_the_cpus_file(quantised, engine_builder):
    with pytest.raises(UserError, match=r"the parser refused the model at node .*bias"):
        engine_builder(quantised["models/640x480.onnx", "cpu"])


def test_ranges_of_another_network_are_refused(edge_models):
    with pytest.raises(UserError, match=r"no tensor core.activation/Relu; .*another network"):
        lower_model(edge_models["models/640x480.onnx"], FIRST_BLOCK, {}, "cpu")


def linear_model():
    """image -> Cast -> MatMul(+bias) -> Gemm -> MatMul -> Cast: layers 4 -> 80 -> 70 -> 4 wide."""
    random = np.random.default_rng(7)

    def weight(name, *shape):
        return numpy_helper.from_array(random.normal(0, 0.2, shape).astype(np.float32), name)

    def node(operator, inputs, name, output=None, **attributes):
        return helper.make_node(operator, inputs, [output or name], name=name, **attributes)

    nodes = [
        node("Cast", ["x"], "net/Cast", to=TensorProto.FLOAT),
        node("MatMul", ["net/Cast", "w0"], "net/MatMul"),
        node("Gemm", ["net/MatMul", "w1", "b1"], "net/Gemm", transB=1),
        node("MatMul", ["net/Gemm", "w2"], "net/MatMul_1"),
        node("Add", ["net/MatMul_1", "net/Gemm"], "net/Add"),
        node("MatMul", ["net/Add", "w3"], "net/MatMul_2", output="y"),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [5, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5, 4])],
        [weight("w0", 4, 80), weight("w1", 70, 80), weight("b1", 70), weight("w2", 70, 70),
         weight("w3", 70, 4)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("target", TARGETS)
def test_linear_layers_have_a_scale_for_each_column(target):
    proto = linear_model()
    model = ir.from_proto(proto)
    decisions = {each.node: each.precision for each in decide_nodes(model)}
    assert decisions == {
        "net/MatMul": "fp32", "net/Gemm": "int8", "net/MatMul_1": "int8", "net/Add": "int8",
        "net/MatMul_2": "fp32",
    }  # fmt: skip
    nodes = {name for name, precision in decisions.items() if precision == "int8"}
    clips = {name: ClipPoints(-900, 900) for name in ("net/MatMul", "net/Gemm", "net/MatMul_1")}
    clips["net/Add"] = ClipPoints(-2000, 2000)
    made = ir.to_proto(insert_qdq(model, nodes, clips, target))
    onnx.checker.check_model(made)
    scales = constants(made)
    assert scales["w1_scale"].shape == (70,) and scales["w2_scale"].shape == (70,)
    axes = {
        node.input[0]: attribute.i
        for node in made.graph.node
        for attribute in node.attribute
        if attribute.name == "axis" and node.op_type == "DequantizeLinear"
    }
    assert (axes["w1_quantized"], axes["w2_quantized"]) == (0, 1)
    x = np.random.default_rng(1).integers(0, 256, (5, 4), np.uint8)
    wanted, got = (
        onnxruntime.InferenceSession(
            each.SerializeToString(), providers=["CPUExecutionProvider"]
        ).run(None, {"x": x})[0]
        for each in (proto, made)
    )
    assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()


def test_a_pair_rounds_as_the_grid_says(edge_models):
    clips = {"core.activation/Relu": ClipPoints(0, 1.5), "core.blocks.0/Conv": ClipPoints(-1, 2)}
    data = lower_model(edge_models["models/640x480.onnx"], FIRST_BLOCK, clips, "cpu")
    assert quantised_tensors(data) == ["core.activation/Relu", "core.blocks.0/Conv"]
    model = onnx.load_model_from_string(data)
    names = ("core.activation/Relu", "core.activation/Relu/DequantizeLinear")
    known = {value.name: value for value in model.graph.value_info}
    model.graph.output.extend(known[name] for name in names)
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    scene = draw_scene(480, 640)
    feed = {"visible": scene.visible[None, None], "infrared": scene.infrared[None, None]}
    values, rounded = session.run(list(names), feed)
    grid = make_grid(clips["core.activation/Relu"], Scheme.AFFINE)
    difference = np.abs(quantise(values.astype(np.float64), grid) - rounded)
    assert (difference > 1e-6).mean() < 1e-3  # a value on a border may fall either way


def test_values_a_relu_discards_cost_no_steps(edge_models):
    model = read_model(edge_models["models/dynamic.onnx"])
    clips = {
        "core.activation/Relu": ClipPoints(0, 1.5),
        "core.blocks.0/Conv": ClipPoints(-4, 2),
        "core.activation/Relu_3": ClipPoints(0, 3),
        "core.head/Conv": ClipPoints(-1, 2),
    }
    cut = cut_discarded(model, clips)
    assert cut == clips | {"core.blocks.0/Conv": ClipPoints(-1.5, 2)}


def test_forced_and_kept_layers_are_and_nonsense_is_refused(edge_models):
    model = read_model(edge_models["models/dynamic.onnx"])
    decided = {
        each.node: each
        for each in decide_nodes(model, int8=["core.head/*"], keep=["core.blocks.1/Conv"])
    }
    assert decided["core.head/Conv"].precision == "int8"
    assert decided["core.head/Conv"].reason.startswith("asked for; the rules keep it float: pred")
    assert decided["core.blocks.1/Conv"].precision == "fp32"
    assert decided["core/Add_1"].reason == "a residual addition with a float side" or (
        decided["core/Add_1"].precision == "fp32"
    )
    assert decided["core.filter/DynamicFilter"].operator == "mgdn::DynamicFilter"
    with pytest.raises(UserError, match=r"core\.haed/\* names no layer"):
        decide_nodes(model, int8=["core.haed/*"])
