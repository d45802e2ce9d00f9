"""Weights outside are found in every place and encoding, and thousands of changed files beside
protobuf itself: what is accepted, protobuf reads alike.
"""

import random
from collections import Counter

import pytest

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.networks import packaged_bundles
from mgdn_edge.runtime.onnx_file import rewrite_model

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'mgdn-edge[export]'")
from google.protobuf.message import DecodeError  # noqa: E402
from onnx_forgeries import LENGTH, VARINT, Field, decode, encode, messages, mutate  # noqa: E402
from onnx_samples import model_of_everything  # noqa: E402

pytestmark = pytest.mark.export

PLACES = {
    "initializer": lambda m: m.graph.initializer.add(),
    "sparse values": lambda m: m.graph.sparse_initializer.add().values,
    "sparse indices": lambda m: m.graph.sparse_initializer.add().indices,
    "attribute": lambda m: m.graph.node.add().attribute.add().t,
    "attribute list": lambda m: m.graph.node.add().attribute.add().tensors.add(),
    "sparse attribute": lambda m: m.graph.node.add().attribute.add().sparse_tensor.values,
    "sparse list": lambda m: m.graph.node.add().attribute.add().sparse_tensors.add().indices,
    "subgraph": lambda m: m.graph.node.add().attribute.add().g.initializer.add(),
    "subgraph list": lambda m: m.graph.node.add().attribute.add().graphs.add().initializer.add(),
    "function": lambda m: m.functions.add().node.add().attribute.add().t,
    "function default": lambda m: m.functions.add().attribute_proto.add().t,
    "training": lambda m: m.training_info.add().algorithm.initializer.add(),
    "training start": lambda m: m.training_info.add().initialization.node.add().attribute.add().t,
}


def place_tensor(where: str, **fields) -> bytes:
    model = onnx.ModelProto(ir_version=10)
    PLACES[where](model).MergeFrom(onnx.TensorProto(name="w", **fields))
    return model.SerializeToString()


def has_weights_outside(message) -> bool:
    """What protobuf itself finds, in all tensors."""
    if isinstance(message, onnx.TensorProto):
        return bool(message.external_data) or message.data_location != onnx.TensorProto.DEFAULT
    return any(
        has_weights_outside(each)
        for field, value in message.ListFields()
        if field.message_type is not None
        for each in (value if field.is_repeated else [value])
    )


def refuse(data: bytes, match):
    with pytest.raises(UserError, match=match):
        rewrite_model(data, "x")


ENTRY = onnx.StringStringEntryProto(key="location", value="secret.bin")
OUTSIDE = {
    "both": {"data_location": onnx.TensorProto.EXTERNAL, "external_data": [ENTRY]},
    "location": {"data_location": onnx.TensorProto.EXTERNAL},
    "entry": {"external_data": [ENTRY]},
}


@pytest.mark.parametrize("where", PLACES)
def test_weights_outside_are_found_wherever_a_tensor_can_be(where):
    for fields in OUTSIDE.values():
        refuse(place_tensor(where, **fields), "keeps weights outside")
    for fields in ({}, {"data_location": onnx.TensorProto.DEFAULT}):
        data = place_tensor(where, float_data=[1.0], **fields)
        assert rewrite_model(data, "x") == data


@pytest.mark.parametrize("where", PLACES)
def test_no_encoding_hides_them(where):
    plain = place_tensor(where, **OUTSIDE["both"])
    hidden = 0
    for level in range(len(list(messages(decode(plain))))):
        for change in ("high", "longer_tag", "longer_length", "longer_value"):
            fields = decode(plain)
            for field in list(messages(fields))[level][1]:
                setattr(field, change, 1)
            refuse(encode(fields), "^x ")
            hidden += compare(encode(fields)) == "refused, outside"
    assert hidden > 5, "protobuf finds them behind these"


def test_a_second_graph_that_protobuf_merges_into_the_first_is_refused():
    first = onnx.ModelProto(ir_version=10)
    first.graph.initializer.add(name="w", float_data=[1.0])
    second = onnx.ModelProto(graph=onnx.GraphProto(initializer=[onnx.TensorProto(name="w2")]))
    data = first.SerializeToString() + second.SerializeToString()
    assert len(onnx.ModelProto.FromString(data).graph.initializer) == 2
    refuse(data, "field 7 of ModelProto comes again")


@pytest.mark.parametrize("value", [2, 1 << 32, (1 << 32) + 1, (1 << 64) - 1])
def test_a_location_that_is_not_the_file_itself_is_refused(value):
    tensor = [Field(14, VARINT, value)]
    data = encode([Field(7, LENGTH, [Field(5, LENGTH, tensor)])])
    refuse(data, "keeps weights outside")


def compare(data: bytes) -> str:
    """What came of one file: "refused ...", or "accepted" where protobuf reads the same."""
    try:
        written = rewrite_model(data, "x")
    except UserError:
        try:
            parsed = onnx.ModelProto.FromString(data)
        except DecodeError:
            return "refused by both"
        return "refused, outside" if has_weights_outside(parsed) else "refused, odd"
    given, got = onnx.ModelProto.FromString(data), onnx.ModelProto.FromString(written)
    assert got == given
    assert not has_weights_outside(got)
    size = got.ByteSize()
    got.DiscardUnknownFields()
    assert got.ByteSize() == size, "protobuf knows every field"
    return "accepted"


def compare_many(models: list[bytes], number: int) -> Counter:
    """What came of ``number`` changed files of each model, seeds from 0."""
    return Counter(
        compare(mutate(model, random.Random(seed))) for model in models for seed in range(number)
    )


def test_changed_files_are_read_as_protobuf_reads_them_or_refused(build_tiny_model):
    found = compare_many([model_of_everything().SerializeToString(), build_tiny_model()], 2000)
    outcomes = {"accepted", "refused by both", "refused, odd", "refused, outside"}
    assert found.keys() == outcomes
    assert min(found.values()) > 50, "each often enough to mean something"


def test_changed_files_of_the_default_network_are_too():
    with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
        variant = bundle.variant("640x480")
        found = compare_many(list(map(bundle.read, (variant.file, variant.file_without_body))), 100)
    assert found["accepted"] > 20
    assert found["refused, odd"] + found["refused by both"] > 50
