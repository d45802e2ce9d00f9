"""The pages in a real browser: quiet console, no requests, nothing wider than a phone."""

import pytest
from support.accept_samples import sample_acceptance
from support.fusing import fuse

from mgdn_edge.runtime.measure.bench import bench_networks
from mgdn_edge.runtime.measure.profiling.profile import profile_network
from mgdn_edge.runtime.report.accept_report import AcceptanceFiles
from mgdn_edge.runtime.report.bench_report import write_bench_report
from mgdn_edge.runtime.report.profile_report import write_profile_report
from mgdn_edge.runtime.whole_file import Output

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory, make_report_clips):
    """kind -> path of a page of each kind, with long names where a name can be long."""
    folder = tmp_path_factory.mktemp("pages")
    clips = make_report_clips(folder)
    long = folder / ("output-" + "long" * 30)
    long.mkdir()
    made = {"none": folder / "none.html", "source": folder / "source.html"}
    for pace, path in made.items():
        out = str(long / f"fused-{pace}.mp4")
        command = f"mgdn fuse {' '.join(clips)} {out}"
        fuse(
            *clips, out, network="average", pace=pace, report=path, command=command, overwrite=True
        )
    made["bench"] = folder / "bench.html"
    benched = bench_networks(["average", "laplacian"], size=(60, 80), frames=12)
    write_bench_report(Output(made["bench"], "--report"), benched, "mgdn bench")
    made["profile"] = folder / "profile.html"
    profiled = profile_network("mgdn-edge", size=(60, 80), frames=4)
    write_profile_report(Output(made["profile"], "--report"), profiled, "mgdn profile")
    made["accept"] = folder / "accept" / "accept.html"
    AcceptanceFiles(folder / "accept", []).keep(sample_acceptance())
    return made


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("kind", ["none", "source", "bench", "profile", "accept"])
def test_a_page_opens_without_complaint(chromium, pages, kind, width, dark):
    page = chromium.look(pages[kind], width, dark)
    assert page.console == []
    assert [url for url in page.requests if not url.startswith("data:")] == [pages[kind].as_uri()]
    assert page.scroll_width <= width
    assert page.overflowing == []
    assert page.images or kind == "profile"
    assert all(pixels > 0 and alt for pixels, alt in page.images)
    assert 'content="width=device-width, initial-scale=1"' in page.dom
    assert "<h1" in page.dom and "<svg" in page.dom
    assert page.pixels.startswith(b"\x89PNG")


def test_the_check_would_notice_a_broken_page(chromium, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        "<body><div style='width: 900px'>wide</div>"
        "<script>console.error('oops'); fetch('http://127.0.0.1:9/')</script>"
    )
    page = chromium.look(path, 390)
    assert page.console
    assert page.overflowing
    assert len(page.requests) == 2


def test_light_and_dark_differ(chromium, pages):
    light, dark = (chromium.look(pages["none"], 390, dark).pixels for dark in (False, True))
    assert light != dark
