"""rewrite_model: read an ONNX file strictly, write what was read, and give only that to a runtime.

A tensor may name another file or a memory address instead of holding its data: ONNX Runtime
1.32.0 then reads files below the working folder, 1.23.2 any absolute path, and follows the address.
No digest covers those, so they are refused, and nothing in the file may be read in two ways, by us
and by a runtime. Rules:

1. Each field is one of onnx.proto's, of the wire type that the onnx package writes; no groups.
2. Numbers are as short as they can be and within their type; a tag has at most 32 bits.
3. A field that is not repeated comes once: protobuf would merge a second one into the first.
4. Text is UTF-8, and messages are nested at most MAX_DEPTH deep.
5. Every tensor holds its own data.
6. The file does not have the mark of ONNX Runtime's own format: one file can be both.

So what is written equals what was read; a reader that erred would hand on what it read, not what
another reader may see. Files written by the onnx package pass.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import NamedTuple

from mgdn_edge.runtime.errors import UserError

MAX_DEPTH = 64  # messages, some twenty graphs within graphs; protobuf stops at 100
ORT_MARK, ORT_MARK_AT = b"ORTM", 4  # bytes; a flatbuffer's identifier follows its first offset

# onnx.proto by message: number:type, * where repeated, + where repeated and packed. A test
# compares this with the descriptors of the onnx package.
SCHEMA = {
    "ModelProto": "1:int64 2:string 3:string 4:string 5:int64 6:string 7:GraphProto "
    "8:OperatorSetIdProto* 14:StringStringEntryProto* 20:TrainingInfoProto* 25:FunctionProto* "
    "26:DeviceConfigurationProto*",
    "GraphProto": "1:NodeProto* 2:string 5:TensorProto* 10:string 11:ValueInfoProto* "
    "12:ValueInfoProto* 13:ValueInfoProto* 14:TensorAnnotation* 15:SparseTensorProto* "
    "16:StringStringEntryProto*",
    "NodeProto": "1:string* 2:string* 3:string 4:string 5:AttributeProto* 6:string 7:string "
    "8:string 9:StringStringEntryProto* 10:NodeDeviceConfigurationProto*",
    "AttributeProto": "1:string 2:float 3:int64 4:bytes 5:TensorProto 6:GraphProto 7:float* "
    "8:int64* 9:bytes* 10:TensorProto* 11:GraphProto* 13:string 14:TypeProto 15:TypeProto* "
    "20:AttributeType 21:string 22:SparseTensorProto 23:SparseTensorProto*",
    "TensorProto": "1:int64* 2:int32 3:TensorProto.Segment 4:float+ 5:int32+ 6:bytes* 7:int64+ "
    "8:string 9:bytes 10:double+ 11:uint64+ 12:string 13:StringStringEntryProto* 14:DataLocation "
    "16:StringStringEntryProto*",
    "TensorProto.Segment": "1:int64 2:int64",
    "SparseTensorProto": "1:TensorProto 2:TensorProto 3:int64*",
    "FunctionProto": "1:string 4:string* 5:string* 6:string* 7:NodeProto* 8:string "
    "9:OperatorSetIdProto* 10:string 11:AttributeProto* 12:ValueInfoProto* 13:string "
    "14:StringStringEntryProto*",
    "TrainingInfoProto": "1:GraphProto 2:GraphProto 3:StringStringEntryProto* "
    "4:StringStringEntryProto*",
    "OperatorSetIdProto": "1:string 2:int64",
    "StringStringEntryProto": "1:string 2:string",
    "ValueInfoProto": "1:string 2:TypeProto 3:string 4:StringStringEntryProto*",
    "TensorAnnotation": "1:string 2:StringStringEntryProto*",
    "TypeProto": "1:TypeProto.Tensor 4:TypeProto.Sequence 5:TypeProto.Map 6:string "
    "7:TypeProto.Opaque 8:TypeProto.SparseTensor 9:TypeProto.Optional",
    "TypeProto.Tensor": "1:int32 2:TensorShapeProto",
    "TypeProto.SparseTensor": "1:int32 2:TensorShapeProto",
    "TypeProto.Sequence": "1:TypeProto",
    "TypeProto.Optional": "1:TypeProto",
    "TypeProto.Map": "1:int32 2:TypeProto",
    "TypeProto.Opaque": "1:string 2:string",
    "TensorShapeProto": "1:TensorShapeProto.Dimension*",
    "TensorShapeProto.Dimension": "1:int64 2:string 3:string",
    "DeviceConfigurationProto": "1:string 2:int32 3:string*",
    "NodeDeviceConfigurationProto": "1:string 2:ShardingSpecProto* 3:int32",
    "ShardingSpecProto": "1:string 2:int64* 3:IntIntListEntryProto* 4:ShardedDimProto*",
    "IntIntListEntryProto": "1:int64 2:int64*",
    "ShardedDimProto": "1:int64 2:SimpleShardedDimProto*",
    "SimpleShardedDimProto": "1:int64 2:string 3:int64",
}
ENUMS = {"AttributeType": 14, "DataLocation": 1}  # the largest of 0, 1, ...; location 0 is inside
EXTERNAL_DATA = 13  # of TensorProto

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # protobuf wire types; 3 and 4 are groups
WIRE_TYPES = dict.fromkeys(("int32", "int64", "uint64", *ENUMS), VARINT)
WIRE_TYPES |= {"float": FIXED32, "double": FIXED64}  # all others: LENGTH
WIDTHS = {FIXED32: 4, FIXED64: 8}  # bytes
MAX_NUMBER_BYTES = 10  # 64 bits, seven a byte, the lowest first; the last byte is below 0x80
# Where packed numbers are wrong: one is longer than needed or beyond 64 bits, or is not an int32.
WRONG = rb"[\x80-\xff]\x00|[\x80-\xff]{9}[^\x01]"
WRONG_32 = rb"(?<![\x80-\xff])[\x80-\xff]{4}(?:[\x08-\xf7]|[\xf8-\xff](?!\xff{4}\x01))"
WRONG_NUMBER = re.compile(WRONG, re.DOTALL)
WRONG_INT32 = re.compile(WRONG + rb"|" + WRONG_32, re.DOTALL)


def rewrite_model(model: bytes, name: str) -> bytes:
    """ONNX file -> the same file, written from what was read; UserError where a rule is broken.

    ``name`` is what errors call the file: "variant dynamic".
    """
    try:
        if model.startswith(ORT_MARK, ORT_MARK_AT):
            raise ValueError("it has the mark of ONNX Runtime's own format")
        return _rewrite_message(memoryview(model), 0, len(model), "ModelProto", 1)
    except _OutsideError as error:
        raise UserError(
            f"{name} keeps weights outside its ONNX file; export it with all weights inside"
        ) from error
    except ValueError as error:
        raise UserError(f"{name} is not a plain ONNX file ({error})") from error


class _OutsideError(Exception):
    """A tensor names another place for its data."""


class _Field(NamedTuple):
    """A row of SCHEMA; ``tag`` is number and wire type as they are written."""

    number: int
    kind: str
    wire: int
    repeated: bool
    tag: bytes


def _rewrite_message(data: memoryview, position: int, end: int, message: str, depth: int) -> bytes:
    """The fields of the message that fills ``data[position:end]``, written anew."""
    if depth > MAX_DEPTH:
        raise ValueError(f"messages are nested more than {MAX_DEPTH} deep at byte {position}")
    fields, seen, out = _FIELDS[message], set(), BytesIO()
    while position < end:
        begin = position
        tag, position = _read_number(data, position, end)
        field = fields.get(tag)
        if field is None:
            found = f"field {tag >> 3} of wire type {tag & 7} at byte {begin}"
            raise ValueError(f"{message} has no {found}")
        if not field.repeated:
            if tag in seen:
                raise ValueError(f"field {field.number} of {message} comes again at byte {begin}")
            seen.add(tag)
        out.write(field.tag)
        if field.wire == VARINT:
            number, position = _read_number(data, position, end)
            if number and field.kind == "DataLocation":
                raise _OutsideError
            if not _is_of(field.kind, number):
                raise ValueError(f"the number at byte {begin} is not of type {field.kind}")
            out.write(_encode_number(number))
        elif field.wire == LENGTH:
            length, first = _read_number(data, position, end)
            position = first + length
            if position > end:
                raise ValueError(f"a field passes the end of its message at byte {begin}")
            if message == "TensorProto" and field.number == EXTERNAL_DATA:
                raise _OutsideError
            value: bytes | memoryview
            if field.kind in _FIELDS:
                value = _rewrite_message(data, first, position, field.kind, depth + 1)
            else:
                value = _read_contents(data[first:position], field.kind, begin)
            out.write(_encode_number(len(value)))
            out.write(value)
        else:
            first, position = position, position + WIDTHS[field.wire]
            if position > end:
                raise ValueError(f"a field passes the end of its message at byte {begin}")
            out.write(data[first:position])
    return out.getvalue()


def _is_of(kind: str, number: int) -> bool:
    """Whether ``number``, as 64 bits without a sign, is a value of ``kind``."""
    if kind == "int32":  # its sign fills the 64 bits
        return number < 1 << 31 or number >= (1 << 64) - (1 << 31)
    return number <= ENUMS.get(kind, number)


def _read_contents(value: memoryview, kind: str, begin: int) -> memoryview:
    """``value`` where it is text, bytes or packed numbers as ``kind`` wants, else ValueError."""
    if kind == "string":
        str(value, "utf-8")
    elif kind in WIRE_TYPES and value:
        if WIRE_TYPES[kind] == VARINT:
            pattern = WRONG_INT32 if kind == "int32" else WRONG_NUMBER
            wrong = value[-1] > 0x7F or pattern.search(value) is not None
        else:
            wrong = len(value) % WIDTHS[WIRE_TYPES[kind]] > 0
        if wrong:
            raise ValueError(f"the packed numbers at byte {begin} are not of type {kind}")
    return value


def _read_number(data: memoryview, position: int, end: int) -> tuple[int, int]:
    """-> the number that begins at ``position``, of at most 64 bits, and where it ends."""
    if position < end and data[position] < 0x80:  # nearly all of them: this halves the time
        return data[position], position + 1
    value = 0
    for index in range(min(MAX_NUMBER_BYTES, end - position)):
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value >> 64 or (index and not byte):
                raise ValueError(f"the number at byte {position} is too large or too long")
            return value, position + index + 1
    raise ValueError(f"the number at byte {position} does not end")


def _encode_number(value: int) -> bytes:
    if value < 0x80:
        return value.to_bytes(1, "little")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _make_fields(rows: str) -> dict[int, _Field]:
    """A message's rows of SCHEMA, by tag."""
    fields = {}
    for row in rows.split():
        number, _, marked = row.partition(":")
        kind = marked.rstrip("*+")
        wire = LENGTH if marked.endswith("+") else WIRE_TYPES.get(kind, LENGTH)
        tag = int(number) << 3 | wire
        fields[tag] = _Field(int(number), kind, wire, marked != kind, _encode_number(tag))
    return fields


_FIELDS = {message: _make_fields(rows) for message, rows in SCHEMA.items()}
