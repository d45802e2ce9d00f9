"""Zip archives whose directory lies, written field by field as a stranger might."""

import struct
import zlib
from dataclasses import dataclass, replace

from hypothesis import strategies as st

LINK = (0o120777) << 16
REGULAR = (0o100644) << 16
NAMES = [
    "../escape", "/etc/passwd", "a/../../b", "models/dynamic.onnx", "manifest.json", ".hidden",
    "a\\b", "C:x", "", "a/", "ü", "nul\0", "x" * 121, "x" * 65000, "graph.json ", "Graph.json",
    "plugins/evil.so", "MANIFEST.sig", "\x1b]0;evil\x07",
]  # fmt: skip
NUMBERS = [0, 1, 2, 7, 8, 20, 45, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]


@dataclass(frozen=True)
class Record:
    """One zip entry as a stranger writes it; None fields take the true value."""

    name: bytes
    data: bytes
    flags: int = 0
    method: int = 0
    date: int = 0x21
    crc: int | None = None
    packed: int | None = None
    size: int | None = None
    extra: bytes = b""
    comment: bytes = b""
    attributes: int = REGULAR
    offset: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None


def write_zip(records, **end) -> bytes:
    """Records -> bytes, field by field, whatever they say; ``end`` overrides the end record."""
    out, central = bytearray(), bytearray()
    for r in records:
        crc = zlib.crc32(r.data) if r.crc is None else r.crc
        packed = len(r.data) if r.packed is None else r.packed
        size = len(r.data) if r.size is None else r.size
        local = r.name if r.local_name is None else r.local_name
        local_size = size if r.local_size is None else r.local_size
        start = len(out) if r.offset is None else r.offset
        fields = (20, r.flags, r.method, 0, r.date, crc, packed, local_size, len(local), 0)
        out += struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + local + r.data
        fields = (20 | 3 << 8, 20, r.flags, r.method, 0, r.date, crc, packed, size)
        lengths = (len(r.name), len(r.extra), len(r.comment), 0, 0)
        central += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", *fields, *lengths, r.attributes, start
        ) + r.name + r.extra + r.comment  # fmt: skip
    tail = {
        "disk": 0, "first": 0, "here": len(records), "count": len(records), "size": len(central),
        "start": len(out), "comment": 0, **end,
    }  # fmt: skip
    return bytes(out + central) + struct.pack("<4s4H2LH", b"PK\5\6", *tail.values())


def lying_zips(contents: dict[str, bytes]):
    """The same files in an archive whose directory lies."""
    records = [Record(name.encode(), body) for name, body in sorted(contents.items())]
    nested = write_zip(records)
    edit = st.one_of(
        st.tuples(st.just("name"), st.sampled_from([n.encode() for n in NAMES])),
        st.tuples(st.just("local_name"), st.sampled_from([n.encode() for n in NAMES])),
        st.tuples(
            st.sampled_from(["flags", "method", "date"]),
            st.sampled_from([n for n in NUMBERS if n <= 0xFFFF]),
        ),
        st.tuples(
            st.sampled_from(["crc", "packed", "size", "offset", "local_size"]),
            st.sampled_from(NUMBERS),
        ),
        st.tuples(st.just("attributes"), st.sampled_from([0, LINK, 0o60660 << 16, 0xFFFFFFFF])),
        st.tuples(st.sampled_from(["extra", "comment"]), st.binary(min_size=1, max_size=64)),
        st.tuples(st.just("data"), st.sampled_from([b"", nested, zlib.compress(bytes(10**6))])),
        st.tuples(st.sampled_from(["twice", "drop", "bomb", "first", "swap"]), st.none()),
    )
    edits = st.lists(st.tuples(st.integers(0, len(records) - 1), edit), min_size=1, max_size=3)
    end = st.dictionaries(
        st.sampled_from(["disk", "first", "here", "count", "comment"]),
        st.sampled_from([n for n in NUMBERS if n <= 0xFFFF]),
        max_size=1,
    )
    places = st.dictionaries(
        st.sampled_from(["size", "start"]), st.sampled_from(NUMBERS), max_size=1
    )
    many = st.sampled_from([0] * 20 + [999, 1001, 3000])
    return st.builds(
        lambda edits, end, places, many: apply_fields(records, edits, {**end, **places}, many),
        edits, end, st.one_of(st.just({}), places), many,
    )  # fmt: skip


def apply_fields(records, edits, end, many) -> bytes:
    changed = list(records)
    for index, (field, value) in edits:
        if not changed:
            break
        index %= len(changed)
        record = changed[index]
        if field == "twice":
            changed.insert(index, record)
        elif field == "drop":
            del changed[index]
        elif field == "first":
            changed.insert(0, changed.pop(index))
        elif field == "swap":
            changed[index - 1], changed[index] = changed[index], changed[index - 1]
        elif field == "bomb":
            squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = squeeze.compress(bytes(5_000_000)) + squeeze.flush()
            changed[index] = replace(record, data=packed, method=8, size=5_000_000)
        else:
            changed[index] = replace(record, **{field: value})
    changed += [Record(f"zz{number:06d}".encode(), b"") for number in range(many)]
    end = {key: value for key, value in end.items() if value is not None}
    if len(changed) > 0xFFFF:
        changed = changed[:0xFFFF]
    return write_zip(changed, **end)
