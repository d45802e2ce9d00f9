"""Hypothesis strategies that damage a bundle: blindly, by zip field, by manifest field, by file."""

import copy
import hashlib
import io
import json
import struct
import zipfile
from contextlib import suppress

from hypothesis import strategies as st

from mgdn_edge.runtime.bundle.archive import encode_archive, read_directory, read_entry
from support.lying_zips import lying_zips

VALUES = [
    None, True, -1, 0, 2, 65536, 10**30, 1e308, "", "x", "../up", "\x1b[2J\x07\u202e", "\x00",
    "A" * 100_000, [], {}, [[]], {"a": {}}, [None] * 2000, "0" * 64, "models/dynamic.onnx",
    float("nan"), float("inf"),
]  # fmt: skip
TEXTS = [
    b"[" * 200_000, b'{"schema":1,"a":' * 50_000, b'{"schema":1e400}', b'{"schema":1,"schema":1}',
    b"\xef\xbb\xbf{}", b'{"schema":"\\ud800"}', b"\xff\xfe", b"1" * 500_000, b'"' + b"a" * 900_000,
    b'{"schema": 1' + b"0" * 5000 + b"}", b"null", b"", b" " * (1 << 20) + b"{}",
]  # fmt: skip


class Damaged(bytes):
    """An archive that a failing test names by length and digest instead of printing it."""

    def __repr__(self):
        return f"<{len(self)} bytes, sha256 {hashlib.sha256(self).hexdigest()[:12]}>"


def contents_of(data: bytes) -> dict[str, bytes]:
    """Sound archive -> name -> contents."""
    stream = io.BytesIO(data)
    return {name: read_entry(stream, entry) for name, entry in read_directory(stream).items()}


def blind(data: bytes):
    """A few flips, insertions, deletions, truncations, copies; often near the structure."""
    length = len(data)
    signatures = [i for i in range(length - 3) if data[i : i + 2] == b"PK"]
    near = st.builds(
        lambda at, step: min(max(at + step, 0), length - 1),
        st.sampled_from(signatures),
        st.integers(-4, 60),
    )
    anywhere = st.one_of(st.integers(0, length - 1), near, st.integers(max(0, length - 80), length))
    operation = st.tuples(
        st.sampled_from(["flip", "set", "insert", "delete", "cut", "copy", "append", "swap"]),
        anywhere,
        st.binary(min_size=1, max_size=40),
        anywhere,
    )
    return st.lists(operation, min_size=1, max_size=4).map(lambda ops: apply_blind(data, ops))


def apply_blind(data: bytes, operations) -> bytes:
    changed = bytearray(data)
    for kind, at, some, other in operations:
        at = min(at, len(changed))
        if kind == "flip" and at < len(changed):
            changed[at] ^= 1 << some[0] % 8
        elif kind == "set":
            changed[at : at + len(some)] = some
        elif kind == "insert":
            changed[at:at] = some
        elif kind == "delete":
            del changed[at : at + len(some)]
        elif kind == "cut":
            del changed[at:]
        elif kind == "copy":
            changed[at:at] = changed[other : other + 200]
        elif kind == "append":
            changed += some
        elif kind == "swap":
            first, second = sorted((at, min(other, len(changed))))
            middle = (first + second) // 2
            changed[first:second] = changed[middle:second] + changed[first:middle]
    return bytes(changed)


def zip_fields(data: bytes):
    """The same files in an archive whose directory lies."""
    return lying_zips(contents_of(data))


def places_in(value, path=()):
    """Every path of keys and indices in a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else ()
    children = enumerate(value) if isinstance(value, list) else children
    for key, child in children:
        yield from places_in(child, (*path, key))


def manifests(data: bytes):
    """A sound archive whose manifest lies, or is no manifest."""
    files = contents_of(data)
    manifest = json.loads(files["manifest.json"])
    paths = [path for path in places_in(manifest) if path]
    edit = st.tuples(
        st.sampled_from(["set", "delete", "add", "copy"]),
        st.sampled_from(paths),
        st.one_of(st.sampled_from(VALUES), st.text(max_size=20), st.integers()),
        st.sampled_from(paths),
    )
    edited = st.lists(edit, min_size=1, max_size=3).map(lambda e: apply_json(manifest, e))
    deep = st.integers(1, 3000).map(
        lambda n: b'{"schema":1,"quality":' + b"[" * n + b"]" * n + b"}"
    )
    text = st.one_of(edited, edited, edited, st.sampled_from(TEXTS), deep)
    return text.map(lambda t: encode_archive({**files, "manifest.json": t}))


def apply_json(manifest, edits) -> bytes:
    changed = json.loads(json.dumps(manifest))
    for edit in edits:
        with suppress(KeyError, IndexError, TypeError):  # an earlier edit removed the place
            edit_json(changed, manifest, *edit)
    return json.dumps(changed).encode("utf-8", "surrogatepass")


def edit_json(changed, manifest, kind, path, value, other) -> None:
    value = copy.deepcopy(value)  # a later edit may lie inside it
    parent = reach(changed, path[:-1])
    if kind == "delete":
        del parent[path[-1]]
    elif kind == "add" and isinstance(parent, dict):
        parent[str(value)[:50]] = value
    elif kind == "add" and isinstance(parent, list):
        parent.append(value)
    else:
        parent[path[-1]] = copy.deepcopy(reach(manifest, other)) if kind == "copy" else value


def reach(value, path):
    for key in path:
        value = value[key]
    return value


def files_inside(data: bytes):
    """One file's bytes changed; the manifest follows (a forger) or does not (an accident)."""
    files = contents_of(data)
    names = sorted(set(files) - {"manifest.json"})

    def change(name):
        nested = io.BytesIO()
        with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as inner:
            inner.writestr("bomb", bytes(10**6))
        body = files[name]
        huge = body[:16] + struct.pack(">2L", 60000, 60000) + body[24:]
        chosen = st.sampled_from([b"", b"\0", nested.getvalue(), huge, data, body[:-1], body * 2])
        damaged = blind(body) if body.count(b"PK") else flips(body)
        return st.tuples(st.just(name), st.one_of(chosen, damaged), st.booleans())

    def write(case):
        name, body, forged = case
        changed = {**files, name: body}
        if forged:
            changed["manifest.json"] = forge(files["manifest.json"], name, body)
        return encode_archive(changed)

    return st.sampled_from(names).flatmap(change).map(write)


def flips(body: bytes):
    edits = st.lists(
        st.tuples(st.integers(0, max(0, len(body) - 1)), st.integers(0, 255)),
        min_size=1,
        max_size=6,
    )

    def apply(chosen):
        changed = bytearray(body)
        for at, value in chosen:
            changed[at : at + 1] = bytes([value])
        return bytes(changed)

    return edits.map(apply)


def forge(manifest: bytes, name: str, body: bytes) -> bytes:
    """The manifest with ``name``'s digest and size made to fit ``body``."""

    def walk(value):
        if isinstance(value, dict):
            if value.get("path") == name:
                return {
                    "path": name,
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "bytes": len(body),
                }
            return {key: walk(child) for key, child in value.items()}
        return [walk(child) for child in value] if isinstance(value, list) else value

    return json.dumps(walk(json.loads(manifest))).encode()


KINDS = {
    "blind": blind, "zip fields": zip_fields, "manifest": manifests, "files": files_inside,
}  # fmt: skip


def damaged(kind: str, data: bytes):
    """Sound archive -> strategy of archives damaged in one of the KINDS of way."""
    return KINDS[kind](data).map(Damaged)
