"""The published test vectors of the bundle format, docs/vectors: one valid bundle and refused ones.

    cd tests && python -m support.bundle_vectors

writes the refused ones and vectors.json from valid.mgdn, whose bytes are published and stay:
``mgdn bundle create`` made it once, of a graph that computes round(0.75 visible + 0.25 infrared).
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mgdn_edge.runtime.bundle.archive import encode_archive
from support.bundle_mutations import contents_of, forge
from support.lying_zips import LINK, Record, write_zip

FOLDER = Path(__file__).parents[2] / "docs" / "vectors"
SIZE = (6, 8)  # (height, width) of the one variant
MODEL, TWIN = "models/8x6.onnx", "models/8x6.plugin.onnx"
GRAPH, GOLDEN = "graph.json", "golden/8x6.expected.png"

Contents = dict[str, bytes]
Make = Callable[[Contents], bytes]


def records(contents: Contents) -> dict[str, Record]:
    """Each file as the zip entry that it is in a valid bundle."""
    return {name: Record(name.encode(), body) for name, body in sorted(contents.items())}


def with_entry(file: str, **changes) -> Make:
    """One zip entry lies."""

    def make(contents: Contents) -> bytes:
        entries = records(contents)
        entries[file] = replace(entries[file], **changes)
        return write_zip(entries.values())

    return make


def damaged(name: str, change: Callable[[bytes], bytes]) -> Make:
    """One file changed, the manifest as it was."""
    return lambda contents: encode_archive({**contents, name: change(contents[name])})


def forged(name: str, change: Callable[[bytes], bytes]) -> Make:
    """One file changed, and the manifest states its new digest."""

    def make(contents: Contents) -> bytes:
        body = change(contents[name])
        manifest = forge(contents["manifest.json"], name, body)
        return encode_archive({**contents, name: body, "manifest.json": manifest})

    return make


def with_manifest(**fields) -> Make:
    """Fields of the manifest changed, the archive sound."""

    def make(contents: Contents) -> bytes:
        manifest = {**json.loads(contents["manifest.json"]), **fields}
        return encode_archive({**contents, "manifest.json": json.dumps(manifest).encode()})

    return make


def without(name: str) -> Make:
    """A file left out, the archive sound."""
    return lambda contents: encode_archive({k: v for k, v in contents.items() if k != name})


def with_another(contents: Contents) -> bytes:
    """A file more than the manifest lists."""
    return encode_archive({**contents, "plugins/extra.so": b"code"})


def compressed(contents: Contents) -> bytes:
    """One file by DEFLATE, as any zip program would store it; level 0, the same bytes from all."""
    squeeze = zlib.compressobj(0, zlib.DEFLATED, -15)
    body = contents[GRAPH]
    packed = squeeze.compress(body) + squeeze.flush()
    entry = with_entry(GRAPH, data=packed, method=8, size=len(body), crc=zlib.crc32(body))
    return entry(contents)


def last_first(contents: Contents) -> bytes:
    """The same files, the last one first."""
    return write_zip(list(records(contents).values())[::-1])


def with_gap(contents: Contents) -> bytes:
    """Four bytes between the files and the directory that belong to no file."""
    data = write_zip(records(contents).values())
    directory, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    record = bytearray(data[end:])
    struct.pack_into("<L", record, 16, directory + 4)
    return data[:directory] + b"gap!" + data[directory:end] + bytes(record)


def weights_outside(model: bytes) -> bytes:
    """The first constant lies in another file."""
    import onnx

    changed = onnx.load_from_string(model)
    tensor = changed.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    return changed.SerializeToString()


def with_hidden_tag(model: bytes) -> bytes:
    """Behind the model a field whose tag has a bit above the 32 that protobuf keeps."""
    return model + b"\x92\x80\x80\x80\x10\x01x"


def in_other_format(model: bytes) -> bytes:
    """The mark by which ONNX Runtime knows its own format."""
    return model[:4] + b"ORTM" + model[8:]


def with_huge_chunk(picture: bytes) -> bytes:
    """The pixels of a PNG file claim to be four gigabytes."""
    place = picture.index(b"IDAT") - 4
    return picture[:place] + b"\xff\xff\xff\xf0" + picture[place + 4 :]


def all_black(picture: bytes) -> bytes:
    """A sound PNG file of the same size: rows of a filter byte 0 and zeros."""
    rows = zlib.compress(bytes(SIZE[0] * (1 + SIZE[1])), 0)
    begin, end = picture.index(b"IDAT") - 4, picture.index(b"IEND") - 4
    checksum = struct.pack(">L", zlib.crc32(b"IDAT" + rows))
    chunk = struct.pack(">L", len(rows)) + b"IDAT" + rows + checksum
    return picture[:begin] + chunk + picture[end:]


# By where it is refused ("open": as the file is opened; "read": as its files are read; "start": as
# a session of its variant is opened): name -> words of the sentence, and how it is made.
REFUSED: dict[str, dict[str, tuple[str, Make]]] = {
    "open": {
        "compressed": ("graph.json is compressed", compressed),
        "encrypted": ("graph.json is encrypted", with_entry(GRAPH, flags=1)),
        "twice": (f"holds {MODEL} twice", with_entry(TWIN, name=MODEL.encode())),
        "unsafe_name": ("unsafe name '../8x6.png'", with_entry(GOLDEN, name=b"../8x6.png")),
        "link": ("graph.json is a link", with_entry(GRAPH, attributes=LINK)),
        "last_first": ("names must ascend", last_first),
        "dated": ("fields no bundle has", with_entry(GRAPH, date=0x5D7D)),
        "local_header": ("disagrees with the zip", with_entry(GRAPH, local_name=b"graph.jsin")),
        "gap": ("belong to no file", with_gap),
        "trailing_byte": ("does not end like a zip", lambda files: encode_archive(files) + b"\0"),
        "cut_short": ("does not end like a zip", lambda files: encode_archive(files)[:-100]),
        "no_manifest": ("holds no manifest.json", without("manifest.json")),
        "other_schema": ("its manifest has schema 2", with_manifest(schema=2)),
        "unknown_field": ("its manifest is not valid", with_manifest(run="anything")),
        "no_variant": ("at least one, each once", with_manifest(variants=[])),
        "missing_file": (f"lists {GOLDEN}, which is not in it", without(GOLDEN)),
        "unlisted_file": ("does not list plugins/extra.so, which is in it", with_another),
        "other_length": ("where its manifest states", damaged(MODEL, lambda data: data + b"\0")),
    },
    "read": {
        "other_digest": ("not have the digest", damaged(MODEL, lambda data: data[:-1] + b"?")),
        "other_checksum": ("not have the checksum", with_entry(MODEL, crc=1)),
    },
    "start": {
        "weights_outside": ("keeps weights outside", forged(MODEL, weights_outside)),
        "hidden_tag": ("is not a plain ONNX file", forged(MODEL, with_hidden_tag)),
        "other_format": ("mark of ONNX Runtime's own format", forged(MODEL, in_other_format)),
        "huge_chunk": ("is not a sound grey 8-bit PNG", forged(GOLDEN, with_huge_chunk)),
        "other_picture": ("the golden pair differs", forged(GOLDEN, all_black)),
    },
}


def make_refused(valid: bytes) -> dict[str, bytes]:
    """The valid bundle -> the refused ones by name."""
    contents = contents_of(valid)
    return {name: make(contents) for stage in REFUSED.values() for name, (_, make) in stage.items()}


def describe(valid: bytes, refused: dict[str, bytes]) -> str:
    """vectors.json: each file, its SHA-256, and where and with what words it is refused."""
    rows: list[dict[str, str | None]] = [
        {"file": "valid.mgdn", "sha256": hashlib.sha256(valid).hexdigest(), "refused": None}
    ]
    for stage, each in REFUSED.items():
        for name, (words, _) in each.items():
            digest = hashlib.sha256(refused[name]).hexdigest()
            row = {"file": f"refused/{name}.mgdn", "sha256": digest}
            rows.append({**row, "refused": stage, "words": words})
    return json.dumps(rows, indent=1) + "\n"


def write_vectors(folder: Path = FOLDER) -> None:
    """Everything but valid.mgdn, which must be there."""
    valid = (folder / "valid.mgdn").read_bytes()
    refused = make_refused(valid)
    (folder / "refused").mkdir(exist_ok=True)
    for name, data in refused.items():
        (folder / "refused" / f"{name}.mgdn").write_bytes(data)
    (folder / "vectors.json").write_text(describe(valid, refused))


if __name__ == "__main__":
    write_vectors()
