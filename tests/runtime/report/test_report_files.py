"""``--report`` of bench and profile: claimed before anything is measured, written last."""

import json

import pytest

from mgdn_edge.runtime.measure import bench
from mgdn_edge.runtime.measure.profiling import profile

SMALL = {
    "bench": ("bench", "--network", "average", "--size", "32x32", "--frames", 2, "--warmup", 0),
    "profile": ("profile", "--size", "64x48", "--frames", 2),
}
LINKED = {
    "bench": ("bench", "--compare", "{bundle}", "--network", "average"),
    "profile": ("profile", "--bundle", "{bundle}"),
}


@pytest.fixture
def no_work(monkeypatch):
    """Ends the test where anything is drawn or opened."""
    for module in (bench, profile):
        monkeypatch.setattr(module, "draw_pairs", lambda *words: pytest.fail("work has begun"))


@pytest.mark.parametrize("command", SMALL)
def test_a_page_there_is_stays_unless_told_so(tmp_path, run_mgdn, no_work, command):
    page = tmp_path / "page.html"
    page.write_text("theirs")
    done = run_mgdn(*SMALL[command], "--report", page)
    assert done.code == 2 and "page.html exists; pass --overwrite" in done.err
    assert page.read_text() == "theirs" and done.out == ""


@pytest.mark.parametrize("command", SMALL)
def test_a_page_is_replaced_when_told_so(tmp_path, run_mgdn, command):
    page = tmp_path / "page.html"
    page.write_text("theirs")
    done = run_mgdn(*SMALL[command], "--report", page, "--overwrite")
    assert done.code == 0, done.err
    assert page.read_text().rstrip().endswith("</html>")


@pytest.mark.parametrize("command", LINKED)
def test_no_bundle_becomes_the_page(tmp_path, run_mgdn, no_work, tiny_bundle, command):
    page = tmp_path / "page.html"
    page.symlink_to(tiny_bundle)
    before = tiny_bundle.read_bytes()
    words = [str(word).format(bundle=tiny_bundle) for word in LINKED[command]]
    done = run_mgdn(*words, "--report", page, "-y")
    assert done.code == 2 and "would overwrite the input" in done.err
    assert tiny_bundle.read_bytes() == before


@pytest.mark.parametrize("command", SMALL)
def test_figures_are_told_though_the_page_cannot_be_written(tmp_path, run_mgdn, fill_disk, command):
    page = tmp_path / "page.html"
    page.write_text("theirs")
    fill_disk(".html")
    done = run_mgdn(*SMALL[command], "--report", page, "-y", "--json")
    assert done.code == 4 and "No space left" in done.err
    assert json.loads(done.out)["schema"] == f"mgdn.{command}/1"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["theirs"]
