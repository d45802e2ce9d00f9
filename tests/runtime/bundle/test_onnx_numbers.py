"""Numbers in an ONNX file: as short as they can be and of their type, or refused."""

import pytest

from mgdn_edge.runtime.bundle.onnx_file import ENUMS, rewrite_model
from mgdn_edge.runtime.errors import UserError

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'mgdn-edge[export]'")
from support.onnx_forgeries import LENGTH, VARINT, Field, encode, number  # noqa: E402

pytestmark = pytest.mark.export


def refuse(data: bytes, match):
    with pytest.raises(UserError, match=f"^x is not a plain ONNX file .*{match}"):
        rewrite_model(data, "x")


def tensor_field(number_: int, value: int | bytes) -> bytes:
    """A model whose one tensor has this field."""
    wire = VARINT if isinstance(value, int) else LENGTH
    tensor = [Field(5, LENGTH, [Field(number_, wire, value)])]
    return encode([Field(7, LENGTH, tensor)])


DATA_TYPE, INT32_DATA, INT64_DATA, FLOAT_DATA, DOUBLE_DATA, UINT64_DATA = 2, 5, 7, 4, 10, 11
INT32S = [0, 1, 127, 128, 300, 2**31 - 1, 2**64 - 1, 2**64 - 2**31, 2**64 - 300]
LARGE = [2**31, 2**32, 2**35, 2**63, 2**64 - 2**31 - 1, 2**64 - 2**32]


@pytest.mark.parametrize("value", INT32S)
def test_numbers_of_32_bits_pass_alone_and_packed(value):
    packed = number(value)
    for data in (
        tensor_field(DATA_TYPE, value),
        *(tensor_field(INT32_DATA, each) for each in (packed, b"\x05" + packed + packed)),
    ):
        assert rewrite_model(data, "x") == data
        assert onnx.ModelProto.FromString(data).SerializeToString() == data


@pytest.mark.parametrize("value", LARGE)
def test_numbers_beyond_32_bits_are_refused_alone_and_packed_and_pass_as_64(value):
    packed = b"\x81\x01" + number(value) + b"\0"
    refuse(tensor_field(DATA_TYPE, value), "is not of type int32")
    refuse(tensor_field(INT32_DATA, packed), "not of type int32")
    for field in (INT64_DATA, UINT64_DATA):
        data = tensor_field(field, packed)
        assert rewrite_model(data, "x") == data


@pytest.mark.parametrize("value", [2**64, 2**64 + 1, 2**70 - 1, 2**70])
def test_a_number_beyond_64_bits_is_refused_though_protobuf_may_drop_bits(value):
    assert rewrite_model(encode([Field(1, VARINT, 2**64 - 1)]), "x")
    refuse(encode([Field(1, VARINT, value)]), "too large|does not end")


@pytest.mark.parametrize("field", [INT32_DATA, INT64_DATA, UINT64_DATA])
@pytest.mark.parametrize(
    "wrong",
    [
        b"\x80",
        b"\x01\xff",
        b"\x80\x00",
        b"\x01\x85\x80\x00\x01",
        b"\xff" * 9 + b"\x02",
        b"\xff" * 9 + b"\x81\x00",
        b"\xff" * 10 + b"\x01",
        b"\x81" * 9 + b"\x00",
    ],
)
def test_packed_numbers_without_end_too_long_or_too_large_are_refused(field, wrong):
    refuse(tensor_field(field, wrong), "packed numbers")


@pytest.mark.parametrize(("field", "width"), [(FLOAT_DATA, 4), (DOUBLE_DATA, 8)])
def test_packed_floats_are_whole(field, width):
    for size in range(2 * width + 1):
        data = tensor_field(field, bytes(range(size)))
        if size % width:
            refuse(data, "packed numbers")
        else:
            assert rewrite_model(data, "x") == data


def test_a_value_that_an_enumeration_does_not_have_is_refused():
    def attribute(kind):
        node = [Field(5, LENGTH, [Field(20, VARINT, kind)])]
        return encode([Field(7, LENGTH, [Field(1, LENGTH, node)])])

    assert rewrite_model(attribute(ENUMS["AttributeType"]), "x")
    for kind in (ENUMS["AttributeType"] + 1, 2**32 + 1, 2**64 - 1):
        refuse(attribute(kind), "AttributeType")
