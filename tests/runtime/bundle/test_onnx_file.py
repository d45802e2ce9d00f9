import pytest

from mgdn_edge.runtime.bundle.onnx_file import (
    CHILDREN,
    DATA_LOCATION,
    EXTERNAL_DATA,
    check_self_contained,
)
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export


def with_tensor_everywhere():
    """(where, model) for each place a tensor can hide in a model."""
    import onnx

    def external(tensor):
        tensor.name = "w"
        tensor.data_location = onnx.TensorProto.EXTERNAL

    places = {
        "initializer": lambda m: m.graph.initializer.add(),
        "sparse values": lambda m: m.graph.sparse_initializer.add().values,
        "sparse indices": lambda m: m.graph.sparse_initializer.add().indices,
        "attribute": lambda m: m.graph.node.add().attribute.add().t,
        "attribute list": lambda m: m.graph.node.add().attribute.add().tensors.add(),
        "subgraph": lambda m: m.graph.node.add().attribute.add().g.initializer.add(),
        "subgraph list": lambda m: (
            m.graph.node.add().attribute.add().graphs.add().initializer.add()
        ),
        "function": lambda m: m.functions.add().node.add().attribute.add().t,
        "function default": lambda m: m.functions.add().attribute_proto.add().t,
        "training": lambda m: m.training_info.add().algorithm.initializer.add(),
    }
    for where, place in places.items():
        model = onnx.ModelProto(ir_version=10)
        external(place(model))
        yield where, model.SerializeToString()


def test_weights_outside_are_found_wherever_a_tensor_can_be():
    for where, data in with_tensor_everywhere():
        with pytest.raises(UserError, match="keeps weights outside"):
            check_self_contained(data, where)


def test_an_external_entry_without_the_location_field_is_refused_too():
    import onnx

    model = onnx.ModelProto(ir_version=10)
    model.graph.initializer.add().external_data.add(key="location", value="x")
    with pytest.raises(UserError, match="keeps weights outside"):
        check_self_contained(model.SerializeToString(), "x")


def test_weights_inside_are_accepted(build_tiny_model):
    check_self_contained(build_tiny_model(), "x")


def test_every_truncation_is_found_or_harmless_and_never_crashes(build_tiny_model):
    data = build_tiny_model()

    def is_refused(length):
        try:
            check_self_contained(data[:length], "x")
        except UserError:
            return True
        return False

    # The rest ends between two fields.
    assert sum(map(is_refused, range(len(data)))) > len(data) * 0.9


@pytest.mark.parametrize(
    "data", [b"\x0b", b"\xff" * 11, b"\x3a\x05ab", b"\x09\0", b"\x0d\0", b"\x80"]
)
def test_malformed_protobuf_is_refused(data):
    with pytest.raises(UserError, match="not an ONNX file"):
        check_self_contained(data, "x")


def test_the_table_covers_every_path_to_a_tensor():
    import onnx

    def leads_to_tensor(descriptor, seen=()):
        if descriptor.name == "TensorProto":
            return True
        return descriptor.name not in seen and any(
            leads_to_tensor(field.message_type, (*seen, descriptor.name))
            for field in descriptor.fields
            if field.message_type is not None
        )

    def children(descriptor):
        return {
            field.number: field.message_type.name
            for field in descriptor.fields
            if field.message_type is not None and leads_to_tensor(field.message_type)
        }

    table, waiting = {}, [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.name in table or descriptor.name == "TensorProto":
            continue
        table[descriptor.name] = children(descriptor)
        waiting += [f.message_type for f in descriptor.fields if f.number in table[descriptor.name]]
    assert table == CHILDREN
    numbers = {field.name: field.number for field in onnx.TensorProto.DESCRIPTOR.fields}
    assert (numbers["external_data"], numbers["data_location"]) == (EXTERNAL_DATA, DATA_LOCATION)
