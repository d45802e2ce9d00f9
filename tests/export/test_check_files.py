"""``mgdn check --report``: claimed before anything is compared, never over what is compared."""

import pytest

from mgdn_edge.cli import build_app
from mgdn_edge.export import check_export, check_frames
from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

pytestmark = pytest.mark.export


def run(*words):
    build_app()(["check", *map(str, words)], standalone_mode=False)


@pytest.fixture
def no_work(monkeypatch):
    """Ends the test where graphs are compared."""
    monkeypatch.setattr(
        check_export, "check_export", lambda *words, **more: pytest.fail("it began")
    )


@pytest.fixture
def small(monkeypatch):
    """One small drawn frame in place of those of each size."""
    scene = draw_scene(24, 32)
    monkeypatch.setattr(check_frames, "draw_frames", lambda record: iter([("small", *scene)]))


def test_a_page_there_is_stays_unless_told_so(edge_export, tmp_path, no_work):
    page = tmp_path / "page.html"
    page.write_text("theirs")
    with pytest.raises(UserError, match=r"--report .*page\.html exists; pass --overwrite"):
        run(edge_export, "--report", page)
    assert page.read_text() == "theirs"


def test_a_page_is_replaced_when_told_so(edge_export, tmp_path, small):
    page = tmp_path / "page.html"
    page.write_text("theirs")
    run(edge_export, "--report", page, "-y")
    assert "Every graph computes what torch computes" in page.read_text()


@pytest.mark.parametrize("role", ["export", "model", "visible", "infrared", "bundle", "checkpoint"])
def test_nothing_that_is_compared_becomes_the_page(edge_export, tmp_path, no_work, role):
    paths = {
        "export": edge_export / "export.json",
        "model": edge_export / "models" / "dynamic.onnx",
        "visible": tmp_path / "vi.png",
        "infrared": tmp_path / "ir.png",
        "bundle": tmp_path / "a.mgdn",
        "checkpoint": tmp_path / "w.safetensors",
    }
    paths["checkpoint"].write_bytes(EDGE_WEIGHTS.read_bytes())
    for name in ("visible", "infrared", "bundle"):
        paths[name].write_text("theirs")
    before = paths[role].read_bytes()
    (tmp_path / "page.html").symlink_to(paths[role])
    words = (edge_export, paths["visible"], paths["infrared"], "--bundle", paths["bundle"])
    words += ("--checkpoint", paths["checkpoint"], "--report", tmp_path / "page.html", "-y")
    with pytest.raises(UserError, match=f"would overwrite the input .*{paths[role].name}"):
        run(*words)
    assert paths[role].read_bytes() == before


def test_what_was_found_is_told_though_the_page_cannot_be_written(
    edge_export, tmp_path, small, fill_disk, capsys
):
    page = tmp_path / "page.html"
    page.write_text("theirs")
    fill_disk(".html")
    with pytest.raises(EndedEarlyError, match="No space left"):
        run(edge_export, "--report", page, "-y", "--json")
    assert '"passed":true' in capsys.readouterr().out
    assert [path.read_text() for path in tmp_path.iterdir()] == ["theirs"]


def test_bundles_opened_before_one_that_cannot_be_are_closed(
    edge_export, tmp_path, monkeypatch, no_work
):
    closed, close = [], OnnxRuntimeSession.close
    monkeypatch.setattr(
        OnnxRuntimeSession, "close", lambda self: (closed.append(self.network), close(self))
    )
    with pytest.raises(UserError, match="cannot open bundle"):
        run(
            edge_export, "--bundle", packaged_bundles()["mgdn-edge"],
            "--bundle", tmp_path / "nowhere.mgdn",
        )  # fmt: skip
    assert closed == ["mgdn-edge"]
