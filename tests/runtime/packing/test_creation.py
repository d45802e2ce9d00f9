import hashlib
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.bundle.graph_facts import decode_graph_facts
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.packing.bundle_writer import DYNAMIC_GOLDEN_SIZE
from mgdn_edge.runtime.packing.creation import create_bundle
from mgdn_edge.runtime.packing.verification import verify_bundle
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

pytestmark = pytest.mark.export


def test_the_same_export_gives_the_same_bytes(export_folder, tmp_path):
    create_bundle(export_folder, tmp_path / "a.mgdn")
    create_bundle(export_folder, tmp_path / "b.mgdn")
    assert (tmp_path / "a.mgdn").read_bytes() == (tmp_path / "b.mgdn").read_bytes()


def test_the_manifest_states_what_the_export_recorded(export_folder, tmp_path):
    path = tmp_path / "x.mgdn"
    create_bundle(export_folder, path, name="mine", licence="Apache-2.0", notes=["second"])
    with open_bundle(path) as bundle:
        manifest = bundle.manifest
        model = bundle.read(bundle.variant("dynamic").file)
        assert decode_graph_facts(bundle.read_graph_facts()).network == "tiny"
    assert (manifest.name, manifest.network) == ("mine", "tiny")
    assert [(v.name, v.height, v.width) for v in manifest.variants] == [
        ("dynamic", None, None),
        ("16x12", 12, 16),
    ]
    assert manifest.provenance.weights.licence == "Apache-2.0"
    assert manifest.provenance.weights.notes == ("by hand", "second")
    assert manifest.provenance.training.data[0].licence == "none stated"
    assert manifest.provenance.tools.keys() == {"onnx", "onnxruntime"}
    assert model == (export_folder / "models" / "dynamic.onnx").read_bytes()


def test_golden_images_hold_the_scene_and_what_the_network_makes_of_it(tiny_bundle):
    with open_bundle(tiny_bundle) as bundle:
        golden = bundle.variant("dynamic").golden
        planes = [
            cv2.imdecode(np.frombuffer(bundle.read(ref), np.uint8), cv2.IMREAD_UNCHANGED)
            for ref in (golden.visible, golden.infrared, golden.expected)
        ]
    scene = draw_scene(*DYNAMIC_GOLDEN_SIZE)
    np.testing.assert_array_equal(planes[0], scene.visible)
    np.testing.assert_array_equal(planes[1], scene.infrared)
    expected = np.round(0.75 * scene.visible.astype(float) + 0.25 * scene.infrared)
    np.testing.assert_array_equal(planes[2], expected)


def test_verify_reports_every_variant(tiny_bundle):
    verdict = verify_bundle(tiny_bundle)
    assert verdict.golden.keys() == {"dynamic", "16x12"}
    assert all(parity.passed and parity.max_error == 0 for parity in verdict.golden.values())


@pytest.mark.parametrize(
    "name", ["export.json", "graph.json", "models/16x12.onnx", "models/dynamic.plugin.onnx"]
)
def test_an_incomplete_export_is_named_and_nothing_is_written(export_folder, tmp_path, name):
    (export_folder / name).unlink()
    with pytest.raises(UserError, match=name):
        create_bundle(export_folder, tmp_path / "x.mgdn")
    assert list(tmp_path.iterdir()) == [export_folder]


@pytest.mark.parametrize("name", ["export.json", "graph.json", "models/dynamic.onnx"])
@pytest.mark.parametrize("data", [b"", b"{}", b"\0" * 50])
def test_a_damaged_export_is_refused(export_folder, tmp_path, name, data):
    (export_folder / name).write_bytes(data)
    with pytest.raises(UserError, match=f"{name} (is not|holds no)|cannot load variant dynamic"):
        create_bundle(export_folder, tmp_path / "x.mgdn")
    assert list(tmp_path.iterdir()) == [export_folder]


@pytest.mark.parametrize("name", ["models/16x12.onnx", "models/16x12.plugin.onnx"])
def test_a_file_as_other_tools_write_it_is_refused_with_a_line_that_mends_it(
    export_folder, tmp_path, name
):
    path = export_folder / name
    plain = path.read_bytes()
    assert plain[0] == 0x08  # ir_version
    path.write_bytes(b"\x88\x00" + plain[1:] + b"\x99\x06abcdefgh")  # a long tag, field 99
    with pytest.raises(UserError, match=f"^{name} is not a plain ONNX file") as caught:
        create_bundle(export_folder, tmp_path / "x.mgdn")
    assert not (tmp_path / "x.mgdn").exists()
    line = str(caught.value).partition("or: ")[2]
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, check=True)
    assert path.read_bytes() == plain
    create_bundle(export_folder, tmp_path / "x.mgdn")


@pytest.mark.parametrize("name", ["models/dynamic.onnx", "models/dynamic.plugin.onnx"])
def test_weights_beside_an_exported_file_are_refused_with_a_line_that_takes_them_in(
    export_folder, tmp_path, build_tiny_model, name
):
    path = export_folder / name
    path.write_bytes(build_tiny_model(external="weights.bin"))
    (path.parent / "weights.bin").write_bytes(np.float32(0.75).tobytes())
    with pytest.raises(UserError, match=f"^{name} keeps weights outside") as caught:
        create_bundle(export_folder, tmp_path / "x.mgdn")
    line = str(caught.value).partition("or: ")[2]
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, check=True)
    create_bundle(export_folder, tmp_path / "x.mgdn")
    assert verify_bundle(tmp_path / "x.mgdn").golden["dynamic"].passed


def test_a_record_of_another_schema_is_refused(export_folder, tmp_path):
    path = export_folder / "export.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2}))
    with pytest.raises(UserError, match="schema 2"):
        create_bundle(export_folder, tmp_path / "x.mgdn")


@pytest.mark.parametrize(
    ("output", "match"), [("x.zip", "does not end in .mgdn"), ("absent/x.mgdn", "mkdir -p")]
)
def test_an_output_that_cannot_be_written_is_refused_first(export_folder, tmp_path, output, match):
    with pytest.raises(UserError, match=match):
        create_bundle(export_folder, tmp_path / output)


def test_a_name_that_no_reader_accepts_is_refused(export_folder, tmp_path):
    with pytest.raises(UserError, match="manifest is not valid"):
        create_bundle(export_folder, tmp_path / "x.mgdn", name="two words")
    assert list(tmp_path.iterdir()) == [export_folder]


def test_a_spec_that_is_not_the_models_own_is_refused(export_folder, tmp_path):
    path = export_folder / "export.json"
    record = json.loads(path.read_text())
    record["fusion_spec"]["multiple"] = 8
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match="another FusionSpec"):
        create_bundle(export_folder, tmp_path / "x.mgdn")


def test_digests_are_those_of_the_stored_bytes(tiny_bundle):
    with open_bundle(tiny_bundle) as bundle:
        for ref in bundle.manifest.files:
            data = bundle.read(ref)
            assert (len(data), hashlib.sha256(data).hexdigest()) == (ref.bytes, ref.sha256)


def test_an_export_without_frame_graphs_says_why(export_folder, tmp_path):
    path = export_folder / "export.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"models": []}))
    with pytest.raises(UserError, match="fuses no visible-infrared pair"):
        create_bundle(export_folder, tmp_path / "x.mgdn")


def test_a_failed_write_leaves_the_old_bundle_and_nothing_else(
    export_folder, tmp_path, monkeypatch
):
    folder = tmp_path / "out"
    folder.mkdir()
    create_bundle(export_folder, folder / "x.mgdn")
    before = (folder / "x.mgdn").read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match="No space left"):
        create_bundle(export_folder, folder / "x.mgdn", name="other", overwrite=True)
    assert (folder / "x.mgdn").read_bytes() == before
    assert len(list(folder.iterdir())) == 1


def test_a_bundle_is_replaced_only_when_told_so(export_folder, tmp_path, run_mgdn):
    path = tmp_path / "x.mgdn"
    path.write_text("theirs")
    done = run_mgdn("bundle", "create", export_folder, path)
    assert done.code == 2 and "OUT" in done.err and "exists; pass --overwrite" in done.err
    assert path.read_text() == "theirs"
    assert run_mgdn("bundle", "create", export_folder, path, "-y").code == 0
    assert verify_bundle(path).golden.keys() == {"dynamic", "16x12"}


@pytest.mark.parametrize("name", ["export.json", "graph.json", "models/16x12.plugin.onnx"])
def test_no_file_of_the_export_becomes_the_bundle(export_folder, tmp_path, name):
    link = tmp_path / "x.mgdn"
    link.symlink_to(export_folder / name)
    before = (export_folder / name).read_bytes()
    with pytest.raises(UserError, match=f"would overwrite the input .*{name}"):
        create_bundle(export_folder, link, overwrite=True)
    assert (export_folder / name).read_bytes() == before
