"""A run that ends early keeps what it recorded, names it, and touches nothing else."""

import resource
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support.fusing import fuse

from mgdn_edge.runtime.capture.cameras.looped_recording import LoopReader
from mgdn_edge.runtime.capture.sources import InfraredOptions
from mgdn_edge.runtime.errors import EndedEarlyError, UserError

AVERAGE = ("--network", "average")
PERCENTILE = ("--infrared-agc", "percentile")
COUNTS = InfraredOptions(agc="percentile")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_damaged_input_costs_only_what_follows(tmp_path, decode_clip, here, suffix, stills):
    vi = stills(tmp_path / "vi", 40, damaged=(33,))
    ir = stills(tmp_path / "ir", 40)
    output = here / f"out{suffix}"
    output.write_bytes(b"of yesterday")
    with pytest.raises(EndedEarlyError, match=rf"truncated.*out\.part\{suffix} has 33 of 40 fr"):
        fuse(str(vi), str(ir), str(output), network="average", overwrite=True)
    assert len(decode_clip(here / f"out.part{suffix}")[1]) == 33
    assert output.read_bytes() == b"of yesterday"


def test_the_command_says_so_with_code_four(tmp_path, mgdn_here, here, stills, names):
    vi = stills(tmp_path / "vi", 12, damaged=(7,))
    done = mgdn_here("fuse", vi, vi, here / "out", *AVERAGE, "--infrared-luma")
    assert done.code == 4
    assert done.out == ""
    assert done.err.startswith("mgdn: error: ") and done.err.count("\n") == 1
    assert f"{here / 'out.part'} has 7 of 12 frames" in done.err
    assert names(here) == ["out.part"]
    assert names(here / "out.part") == [f"{number:03}.png" for number in range(7)]


def test_without_a_frame_there_is_nothing_to_keep(tmp_path, mgdn_here, here, stills, names):
    vi = stills(tmp_path / "vi", 3)
    ir = stills(tmp_path / "ir", 3, kind=np.uint16)
    good = (vi, ir, *PERCENTILE)
    for output in ("out.mp4", "out", "out/"):
        done = mgdn_here("fuse", *good[:2], here / output, *good[2:], "--network", "none-such")
        assert done.code == 2
        assert names(here) == []


@pytest.mark.parametrize("suffix", [".mp4", ""])
def test_a_resolution_that_changes_ends_a_recording_not_what_was_recorded(
    tmp_path, decode_clip, here, suffix, stills, names
):
    vi, ir = stills(tmp_path / "vi", 9), stills(tmp_path / "ir", 9)
    cv2.imwrite(str(ir / "006.png"), np.zeros((12, 16), np.uint8))
    with pytest.raises(EndedEarlyError, match=r"infrared 16x12.*out\.part.* has 6 of 9 frames"):
        fuse(str(vi), str(ir), str(here / f"out{suffix}"), network="average")
    (kept,) = here.iterdir()
    assert len(names(kept) if kept.is_dir() else decode_clip(kept)[1]) == 6


def test_counts_and_video_end_together(tmp_path, decode_clip, here, stills, names):
    vi = stills(tmp_path / "vi", 9, damaged=(5,))
    ir = stills(tmp_path / "ir", 9, kind=np.uint16)
    with pytest.raises(EndedEarlyError) as error:
        fuse(
            str(vi), str(ir), str(here / "o.mp4"), network="average", infrared_options=COUNTS,
            record_infrared=here / "c.mkv",
        )  # fmt: skip
    assert f"{here}/o.part.mp4 has 5 of 9 frames, {here}/c.part.mkv has 5" in str(error.value)
    assert names(here) == ["c.part.mkv", "o.part.mp4"]
    for name in names(here):
        assert len(decode_clip(here / name)[1]) == 5


def limited(size):
    """What a child does first: no file of its may grow beyond ``size`` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run_limited(size, *words):
    script = "from mgdn_edge.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True, text=True, check=False, preexec_fn=limited(size),
    )  # fmt: skip


def frames_told(text, name):
    return int(text.partition(f"{name} has ")[2].split()[0])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_keeps_the_frames_it_had_room_for(noise_pair, decode_clip, here, suffix, names):
    done = run_limited(100_000, "fuse", *noise_pair, here / f"o{suffix}", *AVERAGE, *PERCENTILE)
    assert done.returncode == 4, done.stderr
    assert "File too large" in done.stderr
    assert names(here) == [f"o.part{suffix}"]
    count = frames_told(done.stderr, f"o.part{suffix}")
    assert 10 < count < 90
    assert len(decode_clip(here / f"o.part{suffix}")[1]) == count


def test_a_disk_too_full_for_a_frame_leaves_nothing(noise_pair, here, names):
    done = run_limited(900, "fuse", *noise_pair, here / "o.mp4", *AVERAGE, *PERCENTILE)
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr and done.stderr.count("\n") == 1
    assert names(here) == []


def test_counts_that_do_not_fit_do_not_take_the_video_with_them(
    noise_pair, decode_clip, here, names
):
    words = ("fuse", *noise_pair, here / "o.mp4", *AVERAGE, *PERCENTILE, "--frames", 60)
    done = run_limited(300_000, *words, "--record-infrared", here / "c.mkv", "--json")
    assert done.returncode == 4, done.stderr
    assert names(here) == ["c.part.mkv", "o.mp4"]
    assert "c.mkv (File too large)" in done.stderr
    assert f"{here}/o.mp4 is there, with 60 frames" in done.stderr
    assert '"out":60' in done.stdout
    assert len(decode_clip(here / "o.mp4")[1]) == 60
    count = frames_told(done.stderr, "c.part.mkv")
    assert 5 < count < 60
    assert len(decode_clip(here / "c.part.mkv")[1]) == count


def test_counts_whose_size_changes_end_there_and_the_video_goes_on(
    tmp_path, decode_clip, here, stills
):
    vi, ir = stills(tmp_path / "vi", 9), stills(tmp_path / "ir", 6, kind=np.uint16)
    for number in range(6, 9):
        cv2.imwrite(str(ir / f"{number:03}.png"), np.full((12, 16), number, np.uint16))
    with pytest.raises(
        EndedEarlyError, match=r"became 16x12.*c\.part\.mkv has 6.*o\.mp4 is there, with 9 fr"
    ):
        fuse(
            str(vi), str(ir), str(here / "o.mp4"), network="average", infrared_options=COUNTS,
            record_infrared=here / "c.mkv", resize=True,
        )  # fmt: skip
    assert len(decode_clip(here / "o.mp4")[1]) == 9
    assert len(decode_clip(here / "c.part.mkv")[1]) == 6


@pytest.mark.parametrize("option", ["report", "trace"])
def test_a_side_file_that_fails_leaves_the_video(clip_pair, decode_clip, here, option, names):
    side = here / "side" / {"report": "r.html", "trace": "t.json"}[option]
    side.parent.mkdir()

    def remove_folder():
        if side.parent.is_dir():
            side.parent.rmdir()

    with pytest.raises(
        EndedEarlyError, match=r"cannot write .*side.*o\.mp4 is there, with 6 frames"
    ) as end:
        fuse(
            *map(str, clip_pair), str(here / "o.mp4"), network="average", on_frame=remove_folder,
            **{option: side},
        )  # fmt: skip
    assert end.value.figures.frames.out == 6
    assert len(decode_clip(here / "o.mp4")[1]) == 6
    assert names(here) == ["o.mp4"]


def test_a_camera_that_goes_away_leaves_what_it_showed(
    tmp_path, write_clip, decode_clip, here, names, monkeypatch
):
    frames = LoopReader.frames

    def unplugged(reader):
        for number, frame in enumerate(frames(reader)):
            if number == 12:
                raise UserError("the camera is gone")
            yield frame

    monkeypatch.setattr(LoopReader, "frames", unplugged)
    clip = f"{write_clip(tmp_path / 'vi.mkv', neutral=True)}?loop"
    with pytest.raises(EndedEarlyError, match=r"the camera is gone; .*o\.part\.mp4 has \d+ frames"):
        fuse(clip, clip, str(here / "o.mp4"), network="average")
    assert names(here) == ["o.part.mp4"]
    assert 1 <= len(decode_clip(here / "o.part.mp4")[1]) <= 12
