"""The folder of an export: an earlier export gives way when told so, nothing else ever does."""

import errno
import os
import stat
from pathlib import Path

import pytest

from mgdn_edge.export import export_network
from mgdn_edge.export.export_folder import claim_export, staged_export
from mgdn_edge.runtime.bundle.export_record import list_export_files, read_export_record
from mgdn_edge.runtime.errors import UserError

pytestmark = pytest.mark.export


def copy_folder(source: Path, target: Path) -> Path:
    for file in source.rglob("*"):
        if file.is_file():
            (target / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / file.relative_to(source)).write_bytes(file.read_bytes())
    return target


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def former(edge_export: Path, tmp_path: Path) -> Path:
    """An earlier export, with one file changed so that it can be told from a new one."""
    folder = copy_folder(edge_export, tmp_path / "edge")
    (folder / "core.onnx").write_bytes(b"former")
    return folder


def refill(folder: Path, source: Path) -> None:
    """What ``export_network`` does, without its work."""
    with staged_export(claim_export(folder, [], overwrite=True)) as staging:
        copy_folder(source, staging)


def test_the_listed_files_are_those_of_an_export(edge_export: Path) -> None:
    assert contents(edge_export).keys() == set(list_export_files(read_export_record(edge_export)))


def test_an_export_is_replaced_only_when_told_so(former: Path, monkeypatch) -> None:
    before = contents(former)
    with monkeypatch.context() as patch:
        patch.setattr(export_network, "load_network", lambda *words: pytest.fail("work has begun"))
        with pytest.raises(UserError, match=r"OUT .*edge is not empty; pass --overwrite"):
            export_network.export_network("edge", former)
    assert contents(former) == before
    export_network.export_network("edge", former, sizes=[(64, 80)], overwrite=True)
    assert (former / "core.onnx").read_bytes() != b"former"
    assert sorted(path.name for path in (former / "models").iterdir())[:2] == [
        "80x64.onnx", "80x64.plugin.onnx",
    ]  # fmt: skip
    assert not (former / "models" / "640x480.onnx").exists()  # nothing of the earlier one is left
    assert [path.name for path in former.parent.iterdir()] == ["edge"]


@pytest.mark.parametrize("name", ["notes.txt", "models/own.onnx", "link", "models/link.onnx"])
def test_what_others_put_there_is_never_removed(former: Path, name: str) -> None:
    other = former / name
    if "link" in name:
        other.symlink_to(former / "graph.json")
    else:
        other.write_text("mine")
    before = contents(former)
    with pytest.raises(UserError, match=f"holds {name}, which is not of the export in it; move"):
        export_network.export_network("edge", former, overwrite=True)
    assert contents(former) == before


@pytest.mark.parametrize("record", [None, "{}", '{"schema": 9}'])
def test_a_folder_that_is_no_export_is_never_replaced(tmp_path: Path, record: str | None) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("mine")
    if record is not None:
        (tmp_path / "work" / "export.json").write_text(record)
    before = contents(tmp_path)
    with pytest.raises(UserError, match="neither empty nor an export"):
        export_network.export_network("edge", tmp_path / "work", overwrite=True)
    assert contents(tmp_path) == before


def test_a_checkpoint_is_not_exported_over(former: Path, tmp_path: Path) -> None:
    weights = former / "graph.json"
    with pytest.raises(UserError, match="would overwrite the input"):
        export_network.export_network("edge", former, checkpoint=weights, overwrite=True)
    (tmp_path / "out").symlink_to(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_text("mine")
    with pytest.raises(UserError, match="is a file; name a folder"):
        export_network.export_network(
            "edge", tmp_path / "out", checkpoint=tmp_path / "w.safetensors", overwrite=True
        )
    assert (tmp_path / "w.safetensors").read_text() == "mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError("no"), OSError(28, "No space")])
def test_an_export_that_ends_early_leaves_the_former_one(former: Path, error) -> None:
    before = contents(former)
    with (
        pytest.raises((KeyboardInterrupt, UserError)),
        staged_export(claim_export(former, [], overwrite=True)) as staging,
    ):
        (staging / "core.onnx").write_bytes(b"half")
        raise error
    assert contents(former) == before
    assert [path.name for path in former.parent.iterdir()] == ["edge"]


def test_a_full_disk_is_one_sentence_and_leaves_the_former_one(former: Path, fill_disk) -> None:
    before = contents(former)
    fill_disk(".onnx")
    with pytest.raises(UserError, match=r"cannot write .*edge \(No space left on device\)"):
        export_network.export_network("edge", former, overwrite=True)
    assert contents(former) == before
    assert [path.name for path in former.parent.iterdir()] == ["edge"]


def test_what_appears_meanwhile_stays_and_the_export_is_beside(
    edge_export: Path, tmp_path: Path
) -> None:
    for name, appear in (
        ("a", lambda path: (path.mkdir(), (path / "mine").write_text("mine"))),
        ("b", lambda path: path.write_text("mine")),
    ):
        (tmp_path / f"{name}.part").mkdir()
        with (
            pytest.raises(UserError, match=rf"the export is in .*{name}\.part2"),
            staged_export(claim_export(tmp_path / name, [], False)) as staging,
        ):
            copy_folder(edge_export, staging)
            appear(tmp_path / name)
        assert contents(tmp_path / f"{name}.part2") == contents(edge_export)
    assert (tmp_path / "a" / "mine").read_text() == (tmp_path / "b").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a", "a.part", "a.part2", "b", "b.part", "b.part2",
    ]  # fmt: skip


def test_a_file_put_into_the_former_export_meanwhile_stays(
    former: Path, edge_export: Path, tmp_path: Path
) -> None:
    with (
        pytest.raises(UserError, match=r"holds notes, .*the export is in .*edge\.part"),
        staged_export(claim_export(former, [], overwrite=True)) as staging,
    ):
        copy_folder(edge_export, staging)
        (former / "notes").write_text("mine")
    assert (former / "notes").read_text() == "mine"
    assert (former / "core.onnx").read_bytes() == b"former"
    assert contents(tmp_path / "edge.part") == contents(edge_export)


def test_a_former_export_comes_back_where_the_new_one_cannot_take_its_place(
    former: Path, edge_export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(former)
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target == former and self.name.endswith(".part"):
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UserError, match=r"Input/output error.*the export is in .*edge\.part"):
        refill(former, edge_export)
    assert contents(former) == before
    assert contents(tmp_path / "edge.part") == contents(edge_export)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge", "edge.part"]


def test_links_and_modes_stay(former: Path, edge_export: Path, tmp_path: Path) -> None:
    former.chmod(0o750)
    link = tmp_path / "link"
    link.symlink_to("edge")
    refill(link, edge_export)
    assert link.is_symlink() and contents(former) == contents(edge_export)
    assert stat.S_IMODE(former.stat().st_mode) == 0o750
    umask = os.umask(0o027)
    try:
        refill(tmp_path / "new", edge_export)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o750
