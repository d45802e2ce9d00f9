"""Look into an ONNX file before any runtime parses it: its weights must be inside.

A tensor may instead name another file, or a memory address. ONNX Runtime 1.23.2 then reads
absolute paths and follows the address (it crashed on one), 1.31.1 reads files beside the working
directory: none of them covered by the bundle's digests.
"""

from collections.abc import Iterator

from mgdn_edge.runtime.errors import UserError

# onnx.proto: which fields lead from a message to tensors, by field number. A test compares
# this with the descriptors of the onnx package.
CHILDREN = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # fields of TensorProto; location 0 is "inside"

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # protobuf wire types; groups are not in onnx.proto
MAX_VARINT_BYTES = 10


def check_self_contained(model: bytes, variant: str) -> None:
    """Raise UserError unless ``model`` is well-formed protobuf whose tensors hold their data."""
    data = memoryview(model)
    waiting = [("ModelProto", 0, len(data))]
    try:
        while waiting:
            message, start, end = waiting.pop()
            for field, first, last, value in _fields(data, start, end):
                if message == "TensorProto":
                    if field == EXTERNAL_DATA or (field == DATA_LOCATION and value):
                        raise UserError(
                            f"variant {variant} keeps weights outside its ONNX file; "
                            "export it with all weights inside"
                        )
                elif field in CHILDREN[message]:
                    waiting.append((CHILDREN[message][field], first, last))
    except ValueError as error:
        raise UserError(f"variant {variant} is not an ONNX file ({error})") from error


def _fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field number, first byte, end, varint value) of each field of one message."""
    position = start
    while position < end:
        key, position = _varint(data, position, end)
        first, value, wire = position, 0, key & 7
        if wire == VARINT:
            value, position = _varint(data, position, end)
        elif wire == LENGTH:
            length, first = _varint(data, position, end)
            position = first + length
        elif wire == FIXED64:
            position += 8
        elif wire == FIXED32:
            position += 4
        else:
            raise ValueError(f"wire type {wire} at byte {first}")
        if position > end:
            raise ValueError(f"a field at byte {first} passes the end")
        yield key >> 3, first, position, value


def _varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if position + index >= end:
            raise ValueError(f"it ends inside a number at byte {position}")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError(f"a number at byte {position} is too long")
