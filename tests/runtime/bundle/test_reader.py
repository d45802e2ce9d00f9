import hashlib
import io
import json
import shutil
import time

import pytest

from mgdn_edge.runtime.bundle.archive import encode_archive, read_directory, read_entry
from mgdn_edge.runtime.bundle.manifest import FileRef
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.open_session import open_session

pytestmark = pytest.mark.export  # the tiny bundle is built with onnx


def contents_of(path) -> dict[str, bytes]:
    stream = io.BytesIO(path.read_bytes())
    return {name: read_entry(stream, entry) for name, entry in read_directory(stream).items()}


@pytest.fixture
def rewrite(tiny_bundle, tmp_path):
    """Change files or manifest fields of the tiny bundle; the archive itself stays sound."""

    def write(files=None, edit=None, drop=()):
        contents = contents_of(tiny_bundle)
        manifest = json.loads(contents["manifest.json"])
        if edit:
            edit(manifest)
        contents["manifest.json"] = json.dumps(manifest).encode()
        contents |= files or {}
        for name in drop:
            del contents[name]
        path = tmp_path / "changed.mgdn"
        path.write_bytes(encode_archive(contents))
        return path

    return write


def refuse(path, match):
    with pytest.raises(UserError, match=match) as caught:
        open_bundle(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_untouched_rewrite_is_accepted(rewrite):
    with open_bundle(rewrite()) as bundle:
        assert bundle.verify() == 11
        assert not bundle.signed


def test_a_signature_file_is_allowed_and_reported(rewrite):
    with open_bundle(rewrite({"MANIFEST.sig": b"untrusted comment: x\n"})) as bundle:
        assert bundle.signed


def test_an_oversized_signature_is_refused(rewrite):
    refuse(rewrite({"MANIFEST.sig": bytes(5000)}), "MANIFEST.sig has 5000 bytes")


def test_a_missing_file_is_one_clear_error(tmp_path):
    refuse(tmp_path / "absent.mgdn", "cannot open bundle")


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip archive at all, only some text"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, data):
    path = tmp_path / "x.mgdn"
    path.write_bytes(data)
    refuse(path, "is not a usable bundle")


def test_a_folder_is_refused(tmp_path):
    refuse(tmp_path, "cannot open bundle")


def test_a_truncated_bundle_is_refused(tiny_bundle, tmp_path):
    data = tiny_bundle.read_bytes()
    path = tmp_path / "short.mgdn"
    for length in (len(data) - 1, len(data) // 2, 100):
        path.write_bytes(data[:length])
        refuse(path, "not a usable bundle")


def test_an_archive_without_manifest_is_refused(rewrite):
    refuse(rewrite(drop=["manifest.json"]), "holds no manifest.json")


def test_an_oversized_manifest_is_refused_before_it_is_decoded(rewrite):
    refuse(rewrite({"manifest.json": b" " * (1 << 20) + b"{}"}), "more than 1048576")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"{", b"\xff", b'{"schema": 1}', b"[" * 100_000]
)
def test_a_manifest_that_is_not_one_is_refused(rewrite, text):
    refuse(rewrite({"manifest.json": text}), "manifest is not valid")


@pytest.mark.parametrize("schema", [0, 2, 10**9])
def test_an_unknown_schema_is_named(rewrite, schema):
    refuse(rewrite(edit=lambda m: m.update(schema=schema)), f"schema {schema}")


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m.update(schema="1"),
        lambda m: m.update(schema=True),
        lambda m: m.update(name=7),
        lambda m: m.update(name="../up"),
        lambda m: m.update(extra=1),
        lambda m: m.pop("spec"),
        lambda m: m["spec"].update(multiple="8"),
        lambda m: m["spec"].update(pad_mode="zero"),
        lambda m: m["variants"][0]["file"].update(sha256="0" * 63),
        lambda m: m["variants"][0]["file"].update(sha256="0" * 64 + "\n"),
        lambda m: m["variants"][0]["file"].update(bytes=-1),
        lambda m: m["variants"][0]["golden"].update(tolerance_levels=256),
        lambda m: m["variants"][0].update(precision="fp4"),
        lambda m: m["variants"][1].update(height=0),
        lambda m: m["provenance"].update(calibration={}),
    ],
)
def test_wrong_types_and_values_are_refused(rewrite, edit):
    refuse(rewrite(edit=edit), "manifest is not valid")


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda m: m.update(variants=[]), "at least one"),
        (lambda m: m["variants"].append(m["variants"][0]), "each once"),
        (lambda m: m["variants"][1].update(height=13), "the name must say"),
        (lambda m: m["variants"][0].update(height=13), "the name must say"),
        (lambda m: m["variants"][1].update(height=None), "the name must say"),
        (lambda m: m["files"].append(m["files"][0]), "twice"),
        (lambda m: m["files"].clear(), "does not list graph.json"),
        (lambda m: m["files"][0].update(bytes=1), "where its manifest states 1"),
        (lambda m: m["files"][0].update(path="../graph.json"), "which is not in it"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(rewrite, edit, match):
    refuse(rewrite(edit=edit), match)


def test_an_unlisted_file_is_refused(rewrite):
    refuse(rewrite({"plugins/evil.so": b"\x7fELF"}), "does not list plugins/evil.so")


def test_a_listed_file_that_is_missing_is_refused(rewrite):
    refuse(rewrite(drop=["golden/dynamic.expected.png"]), "lists golden/dynamic.expected.png")


def same_length(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_changed_contents_are_noticed_when_the_file_is_read(rewrite, tiny_bundle):
    name = "models/dynamic.onnx"
    path = rewrite({name: same_length(contents_of(tiny_bundle)[name])})
    with open_bundle(path) as bundle:
        with pytest.raises(UserError, match=f"{name} does not have the digest"):
            bundle.read(bundle.variant("dynamic").file)
        with pytest.raises(UserError, match=name):
            bundle.verify()


def test_no_model_is_parsed_before_its_digest_fits(rewrite, tiny_bundle, monkeypatch):
    import onnxruntime

    def parse(*arguments, **options):
        raise AssertionError("the model reached the parser")

    monkeypatch.setattr(onnxruntime, "InferenceSession", parse)
    name = "models/dynamic.onnx"
    path = rewrite({name: same_length(contents_of(tiny_bundle)[name])})
    with pytest.raises(UserError, match="digest"):
        open_session(path)


def test_a_file_changed_after_opening_is_noticed(tiny_bundle, tmp_path):
    path = tmp_path / "live.mgdn"
    shutil.copyfile(tiny_bundle, path)
    with open_bundle(path) as bundle:
        ref = bundle.variant("dynamic").file
        data = path.read_bytes()
        position = data.index(bundle.read(ref))
        with path.open("r+b") as stream:
            stream.seek(position)
            stream.write(b"\xff")
        with pytest.raises(UserError, match="digest"):
            bundle.read(ref)


def test_only_references_of_this_manifest_are_read(tiny_bundle):
    forged = FileRef("models/dynamic.onnx", hashlib.sha256(b"").hexdigest(), 0)
    with open_bundle(tiny_bundle) as bundle, pytest.raises(ValueError, match="not a reference"):
        bundle.read(forged)


def test_an_unknown_variant_names_those_there_are(tiny_bundle):
    with open_bundle(tiny_bundle) as bundle, pytest.raises(UserError, match="dynamic, 16x12"):
        bundle.variant("640x480")


def test_a_flipped_bit_anywhere_is_noticed(tiny_bundle, tmp_path):
    data = tiny_bundle.read_bytes()
    path = tmp_path / "flipped.mgdn"
    for position in range(0, len(data), 11):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(UserError), open_bundle(path) as bundle:
            bundle.verify()


def test_what_a_stranger_wrote_reaches_the_terminal_as_escapes(rewrite):
    title = "\x1b]0;evil\x07\nsecond line"
    with pytest.raises(UserError) as caught:
        open_bundle(rewrite(edit=lambda m: m.update({title: 1})))
    assert str(caught.value).isprintable()
    with pytest.raises(UserError) as caught:
        open_bundle(rewrite(edit=lambda m: m["files"][0].update(path="long" * 10_000)))
    assert len(str(caught.value)) < 1000


def test_ten_thousand_paths_are_compared_at_once(rewrite):
    ref = {"path": "x", "sha256": "0" * 64, "bytes": 0}
    many = [ref, *({**ref, "path": f"y{number}"} for number in range(9000)), ref]
    path = rewrite(edit=lambda m: m["files"].extend(many))
    begin = time.process_time()
    with pytest.raises(UserError, match="twice"):
        open_bundle(path)
    assert time.process_time() - begin < 2
