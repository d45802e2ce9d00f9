"""What is read of an ONNX file is what protobuf reads, or the file is refused: rule by rule."""

import pytest

from mgdn_edge.runtime.bundle import onnx_file
from mgdn_edge.runtime.bundle.manifest import listed_files
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.onnx_file import (
    ENUMS,
    EXTERNAL_DATA,
    MAX_DEPTH,
    SCHEMA,
    rewrite_model,
)
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'mgdn-edge[export]'")
from google.protobuf.message import DecodeError  # noqa: E402
from support.onnx_forgeries import (  # noqa: E402
    FIXED32,
    GROUP,
    GROUP_END,
    LENGTH,
    VARINT,
    Field,
    decode,
    encode,
    messages,
    number,
)
from support.onnx_samples import model_of_everything  # noqa: E402

pytestmark = pytest.mark.export

OUTSIDE, NOT_PLAIN = "x keeps weights outside", "x is not a plain ONNX file"


@pytest.fixture(scope="module")
def everything() -> bytes:
    return model_of_everything().SerializeToString()


def refuse(data: bytes, match=NOT_PLAIN):
    with pytest.raises(UserError, match=match):
        rewrite_model(data, "x")


def parses(data: bytes) -> bool:
    try:
        onnx.ModelProto.FromString(data)
    except DecodeError:
        return False
    return True


def each_field(data: bytes):
    """(all fields of the model, message, fields of it, index) for each field of each type once."""
    known = set()
    for descriptor, place in messages(decode(data)):
        for field in place:
            known.add((descriptor.full_name, field.number))
    for name, wanted in sorted(known):
        fields = decode(data)
        for descriptor, place in messages(fields):
            at = [index for index, field in enumerate(place) if field.number == wanted]
            if descriptor.full_name == name and at:
                yield fields, descriptor, place, at[0]
                break


def test_plain_files_pass_unchanged(everything, build_tiny_model):
    for data in (everything, build_tiny_model(), b""):
        assert rewrite_model(data, "x") == data


def test_the_packaged_graphs_pass_unchanged():
    for path in packaged_bundles().values():
        with open_bundle(path) as bundle:
            graphs = [r for r in listed_files(bundle.manifest) if r.path.endswith(".onnx")]
            assert graphs
            for data in map(bundle.read, graphs):
                assert rewrite_model(data, "x") == data


SCALARS = ("int32", "int64", "uint64", "float", "double", "string", "bytes")


def test_the_schema_is_the_onnx_packages():
    schema, enums, waiting = {}, {}, [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        rows = []
        for field in sorted(message.fields, key=lambda field: field.number):
            kinds = {getattr(field, f"TYPE_{kind.upper()}"): kind for kind in SCALARS}
            kind = kinds.get(field.type)
            if field.enum_type is not None:
                kind = field.enum_type.name
                values = sorted(value.number for value in field.enum_type.values)
                assert values == list(range(len(values)))
                enums[kind] = values[-1]
            elif field.message_type is not None:
                kind = field.message_type.full_name.removeprefix("onnx.")
                waiting += [field.message_type] * (kind not in schema)
            packed, repeated = field.is_packed, field.is_repeated
            rows.append(f"{field.number}:{kind}{'+' if packed else '*' if repeated else ''}")
        schema[message.full_name.removeprefix("onnx.")] = " ".join(rows)
        assert not message.extension_ranges
    assert schema == SCHEMA
    assert enums == ENUMS
    assert onnx.TensorProto.DESCRIPTOR.fields_by_name["external_data"].number == EXTERNAL_DATA


def test_the_model_of_everything_has_every_field(everything):
    found = {
        f"{descriptor.full_name.removeprefix('onnx.')} {field.number}"
        for descriptor, place in messages(decode(everything))
        for field in place
    }
    known = {f"{name} {row.split(':')[0]}" for name, rows in SCHEMA.items() for row in rows.split()}
    assert known - found == {f"TensorProto {EXTERNAL_DATA}"}


@pytest.mark.parametrize("high", [1, 1 << 3, 1 << 29, 1 << 31])
def test_a_tag_of_more_than_32_bits_is_refused_for_every_field(everything, high):
    for fields, _, place, index in each_field(everything):
        place[index].high = high
        refuse(encode(fields))


@pytest.mark.parametrize(
    ("longer", "wires"),
    [
        ("longer_tag", (VARINT, LENGTH, FIXED32)),
        ("longer_length", (LENGTH,)),
        ("longer_value", (VARINT,)),
    ],
)
def test_a_number_longer_than_needed_is_refused_everywhere(everything, longer, wires):
    taken = 0
    for fields, _, place, index in each_field(everything):
        if place[index].wire in wires:
            setattr(place[index], longer, 1)
            refuse(encode(fields), "too large or too long|does not end")
            taken += parses(encode(fields))
    assert taken > 10, "protobuf takes them"


@pytest.mark.parametrize(
    "strange",
    [
        Field(0, VARINT, 0),
        Field(1000, VARINT, 0),
        Field(1000, LENGTH, b"abc"),
        Field((1 << 29) - 1, FIXED32, b"abcd"),
        Field(1000, GROUP, b""),
    ],
    ids=str,
)
def test_a_field_that_onnx_does_not_have_is_refused_in_every_message(everything, strange):
    seen = set()
    for descriptor, _ in messages(decode(everything)):
        if descriptor.full_name in seen:
            continue
        seen.add(descriptor.full_name)
        fields = decode(everything)
        place = next(p for d, p in messages(fields) if d.full_name == descriptor.full_name)
        place.append(strange)
        refuse(encode(fields), "has no field")
    assert len(seen) == len(SCHEMA)


@pytest.mark.parametrize("wire", range(8))
def test_another_wire_type_is_refused_for_every_field(everything, wire):
    tried = 0
    for fields, _, place, index in each_field(everything):
        if place[index].wire == wire:
            continue
        value = {VARINT: 1, LENGTH: b"", GROUP: b"", FIXED32: b"abcd"}.get(wire, b"abcdefgh")
        place[index] = Field(place[index].number, wire, value)
        refuse(encode(fields), "has no field")
        tried += 1
    assert tried > 20


def test_a_group_is_refused_though_protobuf_skips_it(everything):
    for data in (
        Field(7, GROUP, b"").encode(),
        number(9 << 3 | GROUP) + number(9 << 3 | GROUP_END),
    ):
        assert parses(everything + data)
        refuse(everything + data, "has no field")


def test_a_field_that_is_not_repeated_comes_once(everything):
    tried = 0
    for fields, descriptor, place, index in each_field(everything):
        place.append(place[index])
        data = encode(fields)
        if descriptor.fields_by_number[place[index].number].is_repeated:
            assert rewrite_model(data, "x") == data
        else:
            refuse(data, "comes again")
            tried += 1
    assert tried > 50


def test_text_that_is_not_utf8_is_refused(everything):
    tried = 0
    for fields, descriptor, place, index in each_field(everything):
        known = descriptor.fields_by_number[place[index].number]
        if known.type in (known.TYPE_STRING, known.TYPE_BYTES):
            place[index].value = b"a\xff"
            if known.type == known.TYPE_STRING:
                refuse(encode(fields), "utf-8")
                tried += 1
            else:
                assert rewrite_model(encode(fields), "x") == encode(fields)
    assert tried > 30


def nested(depth: int) -> bytes:
    """A model of ``depth`` messages within each other: graphs of nodes of attributes."""
    data, kinds = b"", [7, *(1, 5, 6) * depth][: depth - 1]
    for field in reversed(kinds):
        data = Field(field, LENGTH, data).encode()
    return data


def test_deep_messages_are_refused_before_protobuf_refuses_them():
    data = nested(MAX_DEPTH)
    assert parses(data)
    assert rewrite_model(data, "x") == data
    for depth in (MAX_DEPTH + 1, 101, 5000):
        refuse(nested(depth), "nested more than")


def test_every_truncation_is_found_or_ends_between_two_fields(everything):
    for length in range(len(everything)):
        data = everything[:length]
        try:
            assert rewrite_model(data, "x") == data
        except UserError:
            continue
        assert parses(data)


@pytest.mark.parametrize(
    "short", [b"\x15ab", b"\x18\x80", b"\x22\x05abc", b"\x22", b"\xa0"], ids=bytes.hex
)
def test_a_field_that_passes_the_end_of_its_message_is_refused_where_the_file_goes_on(short):
    node = Field(1, LENGTH, [Field(5, LENGTH, short), Field(3, LENGTH, b"name of the node")])
    data = encode([Field(7, LENGTH, [node, Field(2, LENGTH, b"name of the graph")])])
    assert not parses(data)
    refuse(data, "passes the end|does not end")


@pytest.mark.parametrize(
    "data", [b"\x0b", b"\xff" * 11, b"\x3a\x05ab", b"\x09\0", b"\x0d\0", b"\x80", b"\x08", b"\x3a"]
)
def test_malformed_protobuf_is_refused(data):
    refuse(data)


def test_the_mark_of_onnxruntimes_own_format_is_refused_in_a_plain_file(monkeypatch):
    data = onnx.ModelProto(producer_name="\0\0ORTM").SerializeToString()
    assert data[4:8] == b"ORTM"
    refuse(data, "ONNX Runtime's own format")
    monkeypatch.setattr(onnx_file, "ORT_MARK", b"none")
    assert rewrite_model(data, "x") == data, "nothing else is wrong with it"
