"""ONNX files as protobuf fields that can be changed and encoded as no library encodes them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import onnx

VARINT, FIXED64, LENGTH, GROUP, GROUP_END, FIXED32 = range(6)  # protobuf wire types


def number(value: int, longer: int = 0) -> bytes:
    """A varint of ``value``, ``longer`` bytes longer than needed."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    groups += [0] * longer
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


@dataclass
class Field:
    """One field; ``value`` is a number, bytes as they follow, or fields where ``open`` was called.

    ``high`` are bits of the tag above its 32, the others bytes that a number is longer than needed.
    """

    number: int
    wire: int
    value: int | bytes | list[Field]
    child: Any = None  # the descriptor where it is a message
    high: int = 0
    longer_tag: int = 0
    longer_length: int = 0
    longer_value: int = 0

    def open(self) -> list[Field]:
        """The fields of a message, which may be changed in place."""
        if isinstance(self.value, bytes):
            self.value = decode(self.value, self.child)
        return self.value

    def encode(self) -> bytes:
        tag = number(self.number << 3 | self.wire | self.high << 32, self.longer_tag)
        if isinstance(self.value, int):
            return tag + number(self.value, self.longer_value)
        data = self.value if isinstance(self.value, bytes) else encode(self.value)
        if self.wire == GROUP:
            return tag + data + number(self.number << 3 | GROUP_END)
        return tag + number(len(data), self.longer_length) * (self.wire == LENGTH) + data


def encode(fields: list[Field]) -> bytes:
    return b"".join(field.encode() for field in fields)


def decode(data: bytes, descriptor=onnx.ModelProto.DESCRIPTOR) -> list[Field]:
    """The fields of a message as the onnx package wrote it, those of its children unread."""
    fields, position = [], 0

    def read() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(data):
        tag = read()
        if tag & 7 == VARINT:
            fields.append(Field(tag >> 3, VARINT, read()))
            continue
        size = read() if tag & 7 == LENGTH else 4 if tag & 7 == FIXED32 else 8
        value, position = data[position : position + size], position + size
        known = descriptor.fields_by_number[tag >> 3]
        fields.append(Field(tag >> 3, tag & 7, value, known.message_type))
    return fields


def messages(fields: list[Field], descriptor=onnx.ModelProto.DESCRIPTOR):
    """(descriptor, fields) of every message, outermost first."""
    yield descriptor, fields
    for field in fields:
        if field.child:
            yield from messages(field.open(), field.child)


def mutate(model: bytes, chance: random.Random) -> bytes:
    """A plain model with one or two things changed somewhere; some changes are harmless."""
    fields = decode(model)
    changes = [chance.choice(MUTATIONS) for _ in range(chance.choice([1, 1, 1, 2]))]
    for change, place in [(change, _choose_place(fields, change, chance)) for change in changes]:
        change(place, chance)
    return encode(fields)


def _choose_place(place, change, chance) -> list[Field]:
    """The fields of a message anywhere; of a tensor, if that comes, to put its data outside."""
    while chance.random() < (0.97 if change is _put_outside else 0.85):
        children = [field for field in place if field.child]
        if not children:
            break
        sizes = [len(field.value) if isinstance(field.value, bytes) else 99 for field in children]
        (field,) = chance.choices(children, chance.choice([None, [size + 1 for size in sizes]]))
        place = field.open()
        if field.child.name == "TensorProto" and change is _put_outside:
            break
    return place


def _field(place, chance) -> Field:
    return chance.choice(place) if place else Field(1, VARINT, 0)


def _encode_strangely(place, chance):
    field = _field(place, chance)
    name = chance.choice(["high", "longer_tag", "longer_length", "longer_value"])
    setattr(field, name, chance.choice([1, 2, 1 << 30]) if name == "high" else chance.randint(1, 9))


def _renumber(place, chance):
    _field(place, chance).number = chance.choice([0, 1, 5, 13, 14, 16, 27, 1000, 1 << 28])


def _rewire(place, chance):
    field = _field(place, chance)
    field.wire = chance.randint(0, 7)
    if field.wire == VARINT:
        field.value = chance.getrandbits(chance.choice([1, 31, 64]))
    elif isinstance(field.value, int):
        field.value = chance.randbytes(chance.choice([0, 4, 8]))


def _repeat(place, chance):
    if place:
        place.insert(chance.randint(0, len(place)), replace(_field(place, chance)))


def _remove(place, chance):
    if place:
        place.remove(_field(place, chance))


def _exchange(place, chance):
    chance.shuffle(place)


def _replace(place, chance):
    field = _field(place, chance)
    if isinstance(field.value, int):
        field.value = chance.choice([0, 1, 2, 2**31, 2**32 + 1, 2**63, 2**64 - 1, 2**64, 2**70])
    elif isinstance(field.value, bytes):
        size = len(field.value) + chance.choice([-1, 0, 0, 0, 4])
        field.value = (chance.randbytes(1) + field.value + b"\x80\x01abc")[1:][: max(size, 0)]


def _scribble(place, chance):
    field = _field(place, chance)
    if isinstance(field.value, bytes) and field.value:
        data = bytearray(field.value)
        data[chance.randrange(len(data))] = chance.randrange(256)
        field.value = bytes(data)


def _put_outside(place, chance):
    """What names another place for a tensor's data; in other messages something else."""
    entry = encode([Field(1, LENGTH, b"location"), Field(2, LENGTH, b"secret.bin")])
    outside = Field(13, LENGTH, entry, high=chance.choice([0, 0, 1]))
    place.append(chance.choice([outside, Field(14, VARINT, chance.choice([0, 1, 2, 2**32 + 1]))]))


MUTATIONS = [
    _encode_strangely, _renumber, _rewire, _repeat, _remove, _exchange, _replace, _scribble,
    _put_outside,
]  # fmt: skip
