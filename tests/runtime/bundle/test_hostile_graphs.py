"""A bundle whose digests are right may still hold an ONNX file that hides where its weights are."""

import hashlib
import json

import pytest

from mgdn_edge.runtime.bundle.archive import encode_archive
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.packing.verification import verify_bundle

pytest.importorskip("onnx", reason="needs onnx: pip install 'mgdn-edge[export]'")
from support.bundle_mutations import contents_of
from support.onnx_forgeries import decode, encode, messages

pytestmark = pytest.mark.export

GRAPHS = ["models/dynamic.onnx", "models/dynamic.plugin.onnx"]


@pytest.fixture
def hidden(build_tiny_model) -> bytes:
    """The tiny model whose weight lies elsewhere, said in tags whose highest bits are dropped."""
    fields = decode(build_tiny_model(external="/etc/hostname"))
    for descriptor, place in messages(fields):
        for field in place if descriptor.name == "TensorProto" else ():
            field.high = 8 * (field.number in (13, 14))
    return encode(fields)


@pytest.fixture
def forge(tiny_bundle, tmp_path):
    """The tiny bundle with one file replaced and every digest right -> its path."""

    def write(name, data):
        contents = contents_of(tiny_bundle.read_bytes())
        manifest = json.loads(contents["manifest.json"])
        contents[name] = data
        for variant in manifest["variants"]:
            for ref in (variant["file"], variant["file_without_body"]):
                if ref["path"] == name:
                    ref |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        contents["manifest.json"] = json.dumps(manifest).encode()
        path = tmp_path / "forged.mgdn"
        path.write_bytes(encode_archive(contents))
        return path

    return write


@pytest.mark.parametrize("name", GRAPHS)
def test_verify_refuses_it_in_either_file(forge, hidden, build_tiny_model, name):
    path = forge(name, hidden)
    with open_bundle(path) as bundle:
        assert bundle.verify(), "the digests are right"
    with pytest.raises(UserError, match="is not a plain ONNX file"):
        verify_bundle(path)
    assert verify_bundle(forge(name, build_tiny_model())).golden["dynamic"].passed


def test_a_session_refuses_it(forge, hidden):
    with pytest.raises(UserError, match="variant dynamic is not a plain ONNX file"):
        open_session(forge(GRAPHS[0], hidden), SessionChoice(variant="dynamic"))
