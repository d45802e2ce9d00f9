"""What the pages say, from small streams; their looks are test_browser.py's."""

import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from support.fusing import fuse

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.bench import bench_networks
from mgdn_edge.runtime.output.video import H264Sink
from mgdn_edge.runtime.report.bench_report import write_bench_report
from mgdn_edge.runtime.whole_file import Output

VOID = {"meta", "link", "img", "br"}


class Outline(HTMLParser):
    """Tags that are opened and closed in pairs, images, and every address."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.addresses, self.tags = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [given[name] for name in ("src", "href", "action") if name in given]
        if tag == "img":
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def fused_page(tmp_path, report_clips):
    path = tmp_path / "page.html"
    vi, ir = report_clips
    out = str(tmp_path / "o.mp4")
    summary = fuse(vi, ir, out, network="average", report=path, command="mgdn <fuse>")
    return summary, path.read_text()


def test_one_file_without_scripts_or_addresses(fused_page):
    _, page = fused_page
    outline = Outline(page)
    assert all(address.startswith("data:") for address in outline.addresses)
    assert not {"script", "iframe", "object", "video"} & set(outline.tags)
    assert "@import" not in page and "url(" not in page
    assert "prefers-color-scheme: dark" in page


def test_verdict_table_strips_environment_and_command(fused_page):
    summary, page = fused_page
    text = text_of(page)
    assert "40 frames fused, none dropped" in text
    assert "takes longest" in text
    for figure in (summary.end_to_end.p50, summary.stages["encode"].p95):
        assert f"{figure:.2f}" in text
    for name, version in summary.versions.items():
        assert name in text and version in text
    for words in ("CPUs usable", "Linux", "average", "opencv", "mgdn <fuse>"):
        assert words in text
    images = Outline(page).images
    assert len(images) in (6, 9)  # the slowest may also be the first or the middle one
    assert all(image["alt"] for image in images)


def test_every_table_has_headers(fused_page):
    _, page = fused_page
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    assert len(rows) > 20
    assert all('scope="' in row for row in rows)


def test_pictures_are_the_same_with_and_without_a_report(tmp_path, report_clips, monkeypatch):
    """What the encoder is given: x264 itself seldom makes other bytes of the same (docs/LOG.md)."""
    runs = []
    for name, report in (("a.mp4", None), ("b.mp4", tmp_path / "r.html")):
        given, encode = [], H264Sink.encode

        def note(sink, picture, visible, given=given, encode=encode):
            given.append((picture.pts, picture.to_ndarray().tobytes()))
            return encode(sink, picture, visible)

        with monkeypatch.context() as patch:
            patch.setattr(H264Sink, "encode", note)
            fuse(*report_clips, str(tmp_path / name), network="average", report=report)
        runs.append(given)
    assert len(runs[0]) == 40 and len(set(runs[0])) == 40
    assert runs[0] == runs[1]


def test_names_are_text_and_never_markup(tmp_path, report_clips):
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    page = folder / "p.html"
    fuse(*report_clips, str(folder / "o.mp4"), network="average", report=page, frames=1)
    assert "<img src=x" not in page.read_text()
    assert "&lt;img src=x" in page.read_text()


def test_one_frame_is_first_and_slowest(tmp_path, report_clips):
    page = tmp_path / "p.html"
    fuse(*report_clips, str(tmp_path / "o.mp4"), network="average", report=page, frames=1)
    text = text_of(page.read_text())
    assert "1 frame fused, none dropped" in text
    assert "frame 0, first and slowest" in text
    assert len(Outline(page.read_text()).images) == 3


def test_frames_of_every_size_and_a_single_pixel(tmp_path, folder_pair):
    page = tmp_path / "p.html"
    vi, ir = folder_pair
    fuse(str(vi), str(ir), str(tmp_path / "out"), network="average", report=page)
    Outline(page.read_text())
    assert "data:image/jpeg" in page.read_text()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("r.txt", "does not end in .html"),
        ("no/r.html", "mkdir -p"),
        ("folder.html", "is a folder"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    tmp_path, report_clips, name, match
):
    (tmp_path / "folder.html").mkdir()
    out = tmp_path / "o.mp4"
    with pytest.raises(UserError, match=match):
        fuse(*report_clips, str(out), network="average", report=tmp_path / name)
    assert not out.exists()


def test_a_trace_may_not_replace_an_input(tmp_path, report_clips):
    vi, ir = report_clips
    with pytest.raises(UserError, match=r"--trace .* does not end in \.json"):
        fuse(vi, ir, str(tmp_path / "o.mp4"), network="average", trace=tmp_path / "vi.mkv")


def test_bench_compares_networks(tmp_path):
    page = tmp_path / "b.html"
    result = bench_networks(["average", "laplacian", "average"], size=(48, 64), frames=5, warmup=1)
    write_bench_report(Output(page, "--report"), result, "mgdn bench")
    report = result.report
    text = text_of(page.read_text())
    assert "average, run 1 fuses a 64x48 frame in" in text
    assert f"laplacian takes {report.networks[1].ratio:.2f} times as long" in text
    outline = Outline(page.read_text())
    assert len(outline.images) == 5
    assert outline.tags.count("svg") == 6


def test_a_failed_write_leaves_the_old_page(tmp_path, monkeypatch):
    page = tmp_path / "p.html"
    page.write_text("old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    result = bench_networks(["average"], size=(8, 8), frames=1, warmup=0)
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(UserError, match="No space left"):
        write_bench_report(Output(page, "--report", replaces=True), result, "mgdn bench")
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]


def test_dropped_frames_are_marked(tmp_path, report_clips):
    from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
    from mgdn_edge.runtime.report.fuse_report import write_fuse_report
    from mgdn_edge.runtime.stream.latency import measure_stages
    from mgdn_edge.runtime.stream.ledger import Ledger
    from mgdn_edge.runtime.stream.result import FrameCounts, FuseResult, Summary

    ledger = Ledger()
    for seq in range(0, 2000, 2):
        base = seq * 40_000_000
        stamps = FrameStamps(seq, base, base)
        for step, field in enumerate(FrameStamps.__slots__[3:], 1):
            setattr(stamps, field, base + step * 1_000_000)
        ledger.add(stamps)
        ledger.add_dropped(seq + 1, base + 1, base + 2)
    stages = measure_stages(ledger.rows)
    summary = Summary(
        "s", "n", "b", "v", "p", None, "source", None, "o.mp4", FrameCounts(2000, 1000, 1000),
        True, 12.5, stages.pop("end_to_end"), stages, {},
    )  # fmt: skip
    path = tmp_path / "p.html"
    write_fuse_report(Output(path, "--report"), FuseResult(summary, ledger), "mgdn fuse")
    page = path.read_text()
    text = text_of(page)
    assert "1000 frames fused, 1000 dropped; 95\N{NO-BREAK SPACE}% shown within" in page
    assert "interrupted before the end" in text
    assert 'class="flawed"' in page
    assert 100 < page.count('class="dropped"') <= 1001
    assert len(page) < 200_000


def test_a_stream_without_a_finished_frame_still_has_a_page(tmp_path):
    from mgdn_edge.runtime.report.fuse_report import write_fuse_report
    from mgdn_edge.runtime.stream.ledger import Ledger
    from mgdn_edge.runtime.stream.result import FrameCounts, FuseResult, Summary

    summary = Summary(
        "s", "n", "b", "v", "p", None, "none", None, "o.mp4", FrameCounts(0, 0, 0),
        True, 0.0, None, {}, {},
    )  # fmt: skip
    output = Output(tmp_path / "p.html", "--report")
    write_fuse_report(output, FuseResult(summary, Ledger()), "mgdn fuse")
    assert "No frame was fused" in (tmp_path / "p.html").read_text()


def test_kept_frames_are_first_middle_and_slowest():
    from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
    from mgdn_edge.runtime.pairing.pairs import Pair
    from mgdn_edge.runtime.picture.frame import ColourTags, InfraredFrame, VisibleFrame
    from mgdn_edge.runtime.stream.kept_frames import KeptFrames

    kept = KeptFrames(40, "source")
    for seq in range(40):
        plane = np.full((2, 2), seq, np.uint8)
        duration = {0: 999, 2: 500, 31: 90}.get(seq, 10)  # 0 and 2 are warm-up
        pair = Pair(
            VisibleFrame(plane, None, (1, 1), ColourTags(), 0, seq),
            InfraredFrame(plane, 0, seq),
            FrameStamps(seq=seq, capture_ns=1000, out_ns=1000 + duration),
        )
        fused = plane.copy()
        kept.see_fused(fused)
        fused[...] = 255  # the slot is used again
        kept.see_written(pair)
    frames = kept.frames()
    assert [(frame.visible.seq, frame.roles) for frame in frames] == [
        (0, ["first"]), (20, ["middle"]), (31, ["slowest"]),
    ]  # fmt: skip
    assert [int(frame.fused[0, 0]) for frame in frames] == [0, 20, 31]


def test_the_command_writes_page_and_trace(tmp_path, report_clips, run_mgdn):
    out, page, trace = (tmp_path / name for name in ("o.mp4", "p.html", "t.json"))
    done = run_mgdn(
        "fuse", *report_clips, out, "--network", "average", "--report", page, "--trace", trace
    )
    assert (done.code, done.err) == (0, "")
    assert f"mgdn fuse {report_clips[0]}" in page.read_text()
    assert json.loads(trace.read_text())["traceEvents"]
