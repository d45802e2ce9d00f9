"""The published vectors: what docs/FORMAT.md says is what this reader does, and goes on doing."""

import hashlib
import json
import zipfile

import numpy as np
import pytest
from support.bundle_vectors import FOLDER, describe, make_refused

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.open_session import open_session

# Published. A reader of schema 1 opens this file for ever.
VALID_SHA256 = "8d19ba3228aa4b102716d06208684e1e391653b9c9915c69c7c53d6a878d3159"
ROWS = json.loads((FOLDER / "vectors.json").read_text())
REFUSED = [row for row in ROWS if row["refused"]]


def open_up_to(path, stage):
    """Open, and go on as far as ``stage``: read every file, open a session."""
    with open_bundle(path) as bundle:
        if stage == "read":
            bundle.verify()
    if stage == "start":
        open_session(path, size=(6, 8)).close()


def test_the_valid_one_is_as_published_and_fuses_what_it_says():
    path = FOLDER / "valid.mgdn"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == VALID_SHA256 == ROWS[0]["sha256"]
    with open_bundle(path) as bundle:
        assert bundle.verify() == 6
    visible, infrared = np.random.default_rng(1).integers(0, 256, (2, 6, 8), np.uint8)
    with open_session(path, size=(6, 8)) as session:
        fused = session.fuse(visible, infrared)
    wanted = np.rint(0.75 * visible.astype(np.float32) + 0.25 * infrared.astype(np.float32))
    assert (fused == wanted).all()


def test_any_zip_program_reads_the_valid_one():
    with zipfile.ZipFile(FOLDER / "valid.mgdn") as archive:
        assert archive.testzip() is None
        assert archive.namelist()[-3:] == [
            "manifest.json",
            "models/8x6.onnx",
            "models/8x6.plugin.onnx",
        ]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row["file"])
def test_the_others_are_refused_where_and_with_the_words_it_says(row):
    path = FOLDER / row["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
    with pytest.raises(UserError) as refused:
        open_up_to(path, row["refused"])
    assert row["words"] in str(refused.value)
    for stage in ("open", "read", "start")[: ("open", "read", "start").index(row["refused"])]:
        open_up_to(path, stage)  # not before


@pytest.mark.export
def test_they_differ_from_the_valid_one_in_what_their_names_say():
    valid = (FOLDER / "valid.mgdn").read_bytes()
    refused = make_refused(valid)
    assert {f"refused/{name}.mgdn" for name in refused} == {row["file"] for row in REFUSED}
    for name, data in refused.items():
        assert (FOLDER / "refused" / f"{name}.mgdn").read_bytes() == data, name
    assert describe(valid, refused) == (FOLDER / "vectors.json").read_text()
