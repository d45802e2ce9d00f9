import os
import re
import signal
import time

import cv2
import numpy as np
import pytest
from support.fusing import fuse

from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.errors import UserError

AVERAGE = ("--network", "average")
STAGES = ("decode", "pair", "align", "copy_in", "infer", "copy_out", "compose", "encode", "out")


def test_json_reports_frames_figures_and_what_was_used(tmp_path, clip_pair, mgdn):
    output = tmp_path / "out.mp4"
    done = mgdn("fuse", *clip_pair, output, *AVERAGE, "--json")
    assert (done.code, done.err) == (0, "")
    summary = done.summary
    assert summary["schema"] == "mgdn.fuse/1"
    assert summary["frames"] == {"in": 6, "out": 6, "dropped": 0}
    assert summary["interrupted"] is False
    assert {name: summary[name] for name in ("network", "backend", "variant", "precision")} == {
        "network": "average",
        "backend": "opencv",
        "variant": "any-size",
        "precision": "uint8",
    }
    assert (summary["pace"], summary["size"], summary["output"]) == ("none", "64x48", str(output))
    assert summary["fps"] > 0
    for stage in STAGES:
        assert set(summary["stages"][stage]) == {"p50", "p95", "p99", "max", "n", "warmup"}
    figures = summary["end_to_end"]
    assert 0 < figures["p50"] <= figures["p95"] <= figures["p99"] <= figures["max"]
    assert summary["versions"]["mgdn-edge"]


def test_table_on_the_terminal_and_no_bar_in_a_pipe(tmp_path, clip_pair, mgdn):
    done = mgdn("fuse", *clip_pair, tmp_path / "out.mp4", *AVERAGE)
    assert (done.code, done.err) == (0, "")
    for word in ("6 frames of 6", "p99", "encode", "end_to_end", "average, opencv"):
        assert word in done.out


def test_bar_on_a_terminal(tmp_path, clip_pair):
    import pty
    import subprocess
    import sys

    main, terminal = pty.openpty()
    words = [*map(str, clip_pair), str(tmp_path / "out.mp4"), *AVERAGE]
    code = (
        f"import sys; sys.argv[1:] = ['fuse', *{words!r}]; from mgdn_edge.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=terminal, stdout=subprocess.PIPE, check=False
    )
    os.close(terminal)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert done.returncode == 0
    assert re.search(r"6/6, [\d.]+/s", shown)


@pytest.mark.export
def test_a_bundle_fuses_and_names_its_variant(tmp_path, write_clip, tiny_bundle, mgdn):
    vi = write_clip(tmp_path / "vi.mkv", size=(12, 16), frames=3)
    ir = write_clip(tmp_path / "ir.mkv", size=(12, 16), frames=3, neutral=True)
    words = ("fuse", vi, ir, tmp_path / "out.mp4", "--bundle", tiny_bundle, "--json")
    summary = mgdn(*words).summary
    assert (summary["network"], summary["variant"]) == ("tiny", "16x12")
    assert summary["backend"].startswith("onnxruntime")
    assert summary["frames"]["out"] == 3


def test_folders_and_resize(tmp_path, folder_pair, mgdn):
    vi, ir = folder_pair
    cv2.imwrite(str(ir / "10.png"), np.zeros((60, 80), np.uint8))
    done = mgdn("fuse", vi, ir, tmp_path / "out", *AVERAGE, "--resize", "--json")
    assert done.code == 0
    assert done.summary["size"] is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "1.png",
        "10.png",
        "2.png",
    ]
    assert cv2.imread(str(tmp_path / "out" / "10.png")).shape == (17, 40, 3)


def test_frames_and_shortest(tmp_path, write_clip, mgdn):
    vi = write_clip(tmp_path / "vi.mkv", frames=6)
    ir = write_clip(tmp_path / "ir.mkv", frames=4, neutral=True)
    done = mgdn("fuse", vi, ir, tmp_path / "a.mp4", *AVERAGE, "--shortest", "--json")
    assert done.summary["frames"]["out"] == 4
    done = mgdn("fuse", vi, ir, tmp_path / "b.mp4", *AVERAGE, "--frames", 2, "--json")
    assert done.summary["frames"]["out"] == 2


def test_counts_through_a_span(tmp_path, mgdn):
    visible, counts = np.zeros((8, 8), np.uint8), np.full((8, 8), 8000, np.uint16)
    cv2.imwrite(str(tmp_path / "vi.png"), visible)
    cv2.imwrite(str(tmp_path / "ir.png"), counts)
    words = ("fuse", tmp_path / "vi.png", tmp_path / "ir.png", tmp_path / "out.png", *AVERAGE)
    assert mgdn(*words, "--infrared-span", "7000:9000").code == 0
    assert (cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED) == 64).all()


def test_an_existing_output_is_replaced_only_on_its_owners_word(
    tmp_path, clip_pair, mgdn_here, decode_clip
):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"old" * 1000)
    done = mgdn_here("fuse", *clip_pair, output, *AVERAGE)
    assert done.code == 2
    assert f"OUTPUT {output} exists; pass --overwrite" in done.err
    assert output.read_bytes() == b"old" * 1000
    assert mgdn_here("fuse", *clip_pair, output, *AVERAGE, "-y").code == 0
    assert len(decode_clip(output)[1]) == 6


def truncated_png(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


WRONG_INPUTS = {
    "missing file": (lambda c: ("nowhere.mp4", c.ir, c.out), "does not exist"),
    "not a video": (lambda c: (c.text, c.ir, c.out), "not a readable video"),
    "different lengths": (lambda c: (c.vi, c.short, c.out), "visible has 6 frames, infrared 4"),
    "different sizes": (lambda c: (c.vi, c.small, c.out), "visible is 64x48, infrared 32x24"),
    "zero frames": (lambda c: (c.vi, c.ir, c.out, "--frames", "0"), "asks for no frame"),
    "empty folder": (lambda c: (c.empty, c.ir, c.out), "holds no images"),
    "empty video": (lambda c: (c.no_frames, c.ir, c.out), "no frames"),
    "empty file": (lambda c: (c.nothing, c.ir, c.out), "not a readable video"),
    "unknown scheme": (lambda c: ("http://cam/1", c.ir, c.out), "http://cam/1 is not supported"),
    "unwritable output": (lambda c: (c.vi, c.ir, c.vi / "out.mp4"), "is not a folder"),
    "missing output folder": (lambda c: (c.vi, c.ir, c.root / "no" / "out.mp4"), "mkdir -p"),
    "coloured infrared": (lambda c: (c.vi, c.vi2, c.out), "--infrared-luma"),
    "truncated image": (lambda c: (c.cut, c.grey, c.out), "truncated"),
    "output is input": (lambda c: (c.vi, c.ir, c.ir), "would overwrite"),
    "bad span": (lambda c: (c.vi, c.ir, c.out, "--infrared-span", "9"), "LOW:HIGH"),
    "unknown network": (lambda c: (c.vi, c.ir, c.out, "--network", "avrage"), "average"),
    "two networks": (lambda c: (c.vi, c.ir, c.out, "--bundle", "x.mgdn"), "pass one of them"),
    "damaged bundle": (lambda c: (c.vi, c.ir, c.out, "--bundle", c.damaged), "damaged.mgdn"),
    "missing bundle": (lambda c: (c.vi, c.ir, c.out, "--bundle=x.mgdn", "--network="), "x.mgdn"),
    "pace of images": (lambda c: (c.grey, c.grey, c.out, "--pace", "source"), "needs a clock"),
}


@pytest.fixture
def wrong(tmp_path, write_clip, clip_pair):
    class Case:
        root = tmp_path
        out = tmp_path / "out.mp4"
        vi, ir = clip_pair
        vi2 = write_clip(tmp_path / "vi2.mkv")
        short = write_clip(tmp_path / "short.mkv", frames=4, neutral=True)
        small = write_clip(tmp_path / "small.mkv", size=(24, 32), neutral=True)
        no_frames = tmp_path / "none.y4m"
        text, nothing = tmp_path / "text.mp4", tmp_path / "nothing.mp4"
        empty, folder = tmp_path / "empty", tmp_path / "folder"
        cut, grey = tmp_path / "cut.png", tmp_path / "grey.png"
        damaged = tmp_path / "damaged.mgdn"

    Case.text.write_text("no video in here\n" * 50)
    Case.no_frames.write_text("YUV4MPEG2 W64 H48 F25:1 C420\n")
    Case.nothing.write_bytes(b"")
    packaged = packaged_bundles()["mgdn-edge"].read_bytes()
    Case.damaged.write_bytes(packaged[:-50_000] + bytes(50_000))
    Case.empty.mkdir()
    Case.folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    for path in (Case.cut, Case.grey, *(Case.folder / f"{i}.png" for i in range(9))):
        cv2.imwrite(str(path), noise)
    for path in (Case.cut, Case.folder / "6.png"):
        truncated_png(path)
    return Case


@pytest.mark.parametrize("name", WRONG_INPUTS)
def test_wrong_input_is_one_line_exit_two_and_no_output(wrong, mgdn_here, name):
    words, message = WRONG_INPUTS[name]
    given = [str(word) for word in words(wrong) if word != "--network="]
    named = any(word.startswith(("--network", "--bundle")) for word in given)
    network = [] if named and name != "two networks" else AVERAGE
    before = {path: path.read_bytes() for path in wrong.root.rglob("*") if path.is_file()}
    done = mgdn_here("fuse", *given, *network)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("mgdn: error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    after = {path: path.read_bytes() for path in wrong.root.rglob("*") if path.is_file()}
    assert after == before


def test_a_disk_that_fills_up_is_reported(tmp_path, clip_pair):
    output = tmp_path / "out.mp4"
    output.symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write .*No space left"):
        fuse(*map(str, clip_pair), str(output), network="average")
    assert output.is_symlink() and output.is_char_device()


def long_pair(write_clip, folder):
    """20 s at 25 frames per second: paced by its clock, it is still running when we act."""
    return (
        write_clip(folder / "vi.mp4", frames=500, codec="libx264"),
        write_clip(folder / "ir.mp4", frames=500, codec="libx264", neutral=True),
    )


def wait_for_size(path, size, process):
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_killed_process_leaves_a_playable_file(
    tmp_path, write_clip, start_mgdn, decode_clip, suffix
):
    output = tmp_path / f"out{suffix}"
    process = start_mgdn(
        "fuse", *long_pair(write_clip, tmp_path), output, *AVERAGE, "--pace", "source"
    )
    part = tmp_path / f"out.part{suffix}"
    wait_for_size(part, 20_000, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    base, frames = decode_clip(part)
    assert 10 < len(frames) < 500
    stamps = [frame.pts * base for frame in frames]
    assert stamps[0] == 0
    assert all(stamp.denominator <= 25 for stamp in stamps) or suffix == ".mkv"


def test_help_shows_examples_and_every_option(mgdn):
    done = mgdn("fuse", "--help")
    assert done.code == 0
    for word in (
        "VISIBLE",
        "INFRARED",
        "OUTPUT",
        "Examples",
        "--infrared-span",
        "--pace",
        "--json",
    ):
        assert word in done.out
