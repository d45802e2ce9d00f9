"""Signals, and two processes at once."""

import json
import signal
import threading
import time

import pytest
from support.fusing import fuse

AVERAGE = ("--network", "average")


def start_paced(start_mgdn, folder, output, write_clip, *words):
    """Fuse 20 s at the clip's own pace, in a process that still runs when a signal comes."""
    vi = write_clip(folder / "vi.mp4", frames=500, codec="libx264")
    ir = write_clip(folder / "ir.mp4", frames=500, codec="libx264", neutral=True)
    return start_mgdn("fuse", vi, ir, output, *AVERAGE, "--pace", "source", *words)


def wait_for(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_grown(path, size):
    return lambda: path.exists() and path.stat().st_size > size


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_a_recording_that_had_more_to_come(
    tmp_path, start_mgdn, write_clip, decode_clip, here, number, names
):
    output, part = here / "o.mp4", here / "o.part.mp4"
    process = start_paced(start_mgdn, tmp_path, output, write_clip, "--json")
    wait_for(has_grown(part, 10_000), process)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    summary = json.loads(out)
    count = summary["frames"]["out"]
    assert process.returncode == 130
    assert err == f"interrupted: {part} has {count} of 500 frames\n"
    assert summary["interrupted"] is True and summary["output"] == str(part)
    assert names(here) == ["o.part.mp4"]
    assert len(decode_clip(part)[1]) == count > 0


def test_a_signal_before_the_first_frame_leaves_nothing(tmp_path, write_clip, here, names):
    stop = threading.Event()
    stop.set()
    told = []
    clip = str(write_clip(tmp_path / "vi.mkv", neutral=True))
    summary = fuse(clip, clip, str(here / "o.mp4"), network="average", stop=stop, said=told)
    assert summary.interrupted
    assert told == ["interrupted: nothing was recorded"]
    assert names(here) == []


def test_a_live_source_has_no_other_end_than_a_signal(
    tmp_path, start_mgdn, write_clip, decode_clip, here, names
):
    clip = write_clip(tmp_path / "vi.mp4", codec="libx264", frames=50, neutral=True)
    process = start_mgdn("fuse", f"{clip}?loop", f"{clip}?loop", here / "o.mp4", *AVERAGE)
    wait_for(has_grown(here / "o.part.mp4", 10_000), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")
    assert "interrupted" in out
    assert names(here) == ["o.mp4"]
    assert len(decode_clip(here / "o.mp4")[1]) > 5


def test_two_processes_at_once(tmp_path, start_mgdn, write_clip, mgdn, here, names):
    output = here / "o.mp4"
    process = start_paced(start_mgdn, tmp_path, output, write_clip)
    wait_for(has_grown(here / "o.part.mp4", 2_000), process)
    words = ("fuse", tmp_path / "vi.mp4", tmp_path / "ir.mp4", output, *AVERAGE)
    done = mgdn(*words)
    assert done.code == 2
    assert f"OUTPUT {output} is being written by another run (as {here}/o.part.mp4)" in done.err
    assert done.err.count("\n") == 1
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert names(here) == ["o.part.mp4"]
    # What the killed run left is nobody's now, and stays.
    left = (here / "o.part.mp4").read_bytes()
    assert mgdn(*words, "--frames", 3).code == 0
    assert names(here) == ["o.mp4", "o.part.mp4"]
    assert (here / "o.part.mp4").read_bytes() == left
