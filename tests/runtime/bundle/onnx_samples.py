"""ONNX files that say everything ONNX can say, and one that is in two formats at once."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import onnx
import onnxruntime
from onnx import TensorProto, helper


def tensor(name="w") -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 2.0])


def graph(name="inner", nodes=(), more=()) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    made = helper.make_graph(list(nodes), name, [], [output], [tensor(), *more])
    made.sparse_initializer.append(sparse())
    return made


def sparse() -> onnx.SparseTensorProto:
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [3.0])
    return helper.make_sparse_tensor(
        values, helper.make_tensor("i", TensorProto.INT64, [1], [1]), [4]
    )


def model_of_everything() -> onnx.ModelProto:
    """A model with a field of every kind, in every place where a tensor can sit."""
    types = [
        helper.make_tensor_type_proto(TensorProto.FLOAT, [1, "n", None]),
        helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [2]),
    ]
    types.append(helper.make_sequence_type_proto(types[0]))
    types.append(helper.make_optional_type_proto(types[2]))
    types.append(helper.make_map_type_proto(TensorProto.INT64, types[0]))
    attributes = {
        "f": 0.5, "i": -3, "s": b"\xff text", "t": tensor(), "g": graph(), "floats": [1.5, -2.0],
        "ints": [1, -(2**63), 300], "strings": ["a", "b"], "tensors": [tensor("a"), tensor("b")],
        "graphs": [graph("a"), graph("b")], "sparse": sparse(), "sparses": [sparse(), sparse()],
        "tp": types[2], "tps": types,
    }  # fmt: skip
    node = helper.make_node(
        "Any", ["x", ""], ["y"], "n", "a doc", "any", overload="o", **attributes
    )
    node.attribute.add(name="r", ref_attr_name="a", type=onnx.AttributeProto.INT)
    node.metadata_props.add(key="k", value="ü")
    nested = helper.make_node("If", ["c"], ["y"], then_branch=graph("then", [node]))
    numbers = [
        helper.make_tensor("i32", TensorProto.INT32, [4], [-1, 2**31 - 1, -(2**31), 0]),
        helper.make_tensor("i64", TensorProto.INT64, [3], [-1, 2**63 - 1, 300]),
        helper.make_tensor("u64", TensorProto.UINT64, [2], [2**64 - 1, 0]),
        helper.make_tensor("d", TensorProto.DOUBLE, [1], [0.1]),
        helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"\xfe"]),
        helper.make_tensor("raw", TensorProto.FLOAT, [1], b"\0\0\x80\x3f", raw=True),
    ]
    outer = graph("outer", [node, nested], numbers)
    outer.quantization_annotation.add(tensor_name="x").quant_parameter_tensor_names.add(key="k")
    function = helper.make_function(
        "any", "F", ["x"], ["y"], [node], [helper.make_opsetid("", 18)], ["a"]
    )
    function.attribute_proto.append(helper.make_attribute("default", tensor()))
    model = helper.make_model(outer, functions=[function], ir_version=10, producer_name="tests")
    training = model.training_info.add()
    training.initialization.CopyFrom(graph("start"))
    training.algorithm.CopyFrom(graph("step", [node]))
    training.update_binding.add(key="w", value="w2")
    model.metadata_props.add(key="k", value="v")
    fill_in(model)
    return model


def fill_in(model) -> None:
    """The fields that no function of onnx.helper writes."""
    model.domain, model.model_version, model.doc_string = "d", 2, "doc"
    model.producer_version = "1"
    outer, function, node = model.graph, model.functions[0], model.graph.node[0]
    outer.doc_string = "doc"
    outer.input.add(name="x", doc_string="doc").metadata_props.add(key="k")
    outer.value_info.add(name="o").type.opaque_type.name = "o"
    outer.value_info[0].type.opaque_type.domain = "any"
    outer.value_info[0].type.denotation = "IMAGE"
    outer.output[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    outer.metadata_props.add(key="k")
    weight = outer.initializer[0]
    weight.doc_string, weight.segment.begin, weight.segment.end = "doc", 0, 2
    weight.data_location = TensorProto.DEFAULT
    weight.metadata_props.add(key="k")
    node.attribute[0].doc_string = "doc"
    function.doc_string, function.overload = "doc", "o"
    function.value_info.add(name="v")
    function.metadata_props.add(key="k")
    model.training_info[0].initialization_binding.add(key="w", value="w0")
    device = model.configuration.add(name="two", num_devices=2, device=["a", "b"])
    used = node.device_configurations.add(configuration_id=device.name, pipeline_stage=1)
    sharding = used.sharding_spec.add(tensor_name="x", device=[0, 1])
    sharding.index_to_device_group_map.add(key=-1, value=[0, 1])
    dims = sharding.sharded_dim.add(axis=1).simple_sharding
    dims.add(dim_value=2, num_shards=2)
    dims.add(dim_param="n")


def in_both_formats() -> bytes:
    """A plain ONNX file of 68 MB, y = |x|, that ONNX Runtime takes for its own format: y = -x.

    The first four bytes, ONNX's version and the length of a name, are the flatbuffer's offset to
    its root; the name is its mark. The root lies in a tensor, the rest of the flatbuffer behind it.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ORT")
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "negative.ort")
        negative = one_operator("Neg").SerializeToString()
        onnxruntime.InferenceSession(negative, options, providers=["CPUExecutionProvider"])
        flat = Path(options.optimized_model_filepath).read_bytes()
    (old_root,) = struct.unpack_from("<I", flat)
    (to_table,) = struct.unpack_from("<i", flat, old_root)
    (table_size,) = struct.unpack_from("<H", flat, old_root - to_table)
    table = struct.unpack_from(f"<{table_size // 2}H", flat, old_root - to_table)

    head = b"\x08\x0a\x12\x04ORTM"  # ir_version 10, producer_name "ORTM"
    (root,) = struct.unpack_from("<I", head)
    behind = (root + 64) // 16 * 16  # what flatbuffers align within themselves stays aligned
    data = bytearray(behind) + flat
    struct.pack_into("<i", data, root, root - (behind + old_root - to_table))
    for place in filter(None, table[2:]):
        (distance,) = struct.unpack_from("<I", flat, old_root + place)
        struct.pack_into("<I", data, root + place, behind + old_root + distance - root)

    model = one_operator("Abs")
    model.ClearField("ir_version")
    blob = model.graph.initializer.add(name="b", data_type=TensorProto.UINT8, dims=[len(data)])
    blob.raw_data = bytes(len(data))
    begin = len(head) + model.SerializeToString().index(bytes(64))
    blob.raw_data, blob.dims[0] = bytes(data[begin:]), len(data) - begin
    return head + model.SerializeToString()


def one_operator(name: str) -> onnx.ModelProto:
    """y = name(x), one float32 each."""
    x, y = (helper.make_tensor_value_info(each, TensorProto.FLOAT, [1]) for each in "xy")
    made = helper.make_graph([helper.make_node(name, ["x"], ["y"])], name, [x], [y])
    return helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
