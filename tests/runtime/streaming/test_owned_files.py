"""mgdn fuse replaces nothing that its owner did not say, and nothing that it reads."""

import os
import stat
import subprocess
import sys
import threading

import av
import pytest

from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.fuse import fuse_files

AVERAGE = ("--network", "average")
MAIN = "from mgdn_edge.cli import main; main()"
PERCENTILE = ("--infrared-agc", "percentile")


def test_the_slip_of_order_costs_no_recording(tmp_path, clip_pair, mgdn_here, write_clip):
    fused = write_clip(tmp_path / "fused.mkv", neutral=True)
    vi, ir = clip_pair
    before = ir.read_bytes()
    done = mgdn_here("fuse", fused, vi, ir, *AVERAGE, "--infrared-luma")
    assert done.code == 2
    assert f"OUTPUT {ir} exists; pass --overwrite" in done.err
    assert ir.read_bytes() == before


def test_a_terminal_is_asked(clip_pair, here):
    import pty

    output = here / "out.mp4"
    for answer, expected, code in ((b"n\n", b"old", 2), (b"y\n", None, 0)):
        output.write_bytes(b"old")
        main, terminal = pty.openpty()
        os.write(main, answer)
        words = ["fuse", *map(str, clip_pair), str(output), *AVERAGE]
        script = f"import sys; sys.argv[1:] = {words!r}; from mgdn_edge.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        os.close(terminal)
        assert b"out.mp4 exists; replace it? [y/N]" in os.read(main, 100_000)
        os.close(main)
        assert done.returncode == code
        assert (output.read_bytes() == expected) is (expected is not None)


@pytest.mark.parametrize(
    ("option", "name"),
    [("--report", "r.html"), ("--trace", "t.json"), ("--record-infrared", "c.mkv")],
)
def test_every_side_file_stays_unless_its_owner_says_otherwise(
    noise_pair, mgdn_here, here, option, name, names
):
    words = ("fuse", *noise_pair, here / "o.mp4", *AVERAGE, *PERCENTILE, "--frames", 3)
    (here / name).write_bytes(b"theirs")
    done = mgdn_here(*words, option, here / name)
    assert done.code == 2
    assert f"{option} {here / name} exists; pass --overwrite" in done.err
    assert (here / name).read_bytes() == b"theirs"
    assert names(here) == [name]
    assert mgdn_here(*words, option, here / name, "--overwrite").code == 0
    assert (here / name).stat().st_size > 100


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_no_side_file_replaces_what_the_run_reads(tmp_path, clip_pair, mgdn_here, here, link):
    clock, rig = tmp_path / "clock.json", tmp_path / "vi.html"
    clock.write_text('{"offset_ms": 0.0}')
    rig.write_text("no rig in here")
    written = clock if link is None else here / "link.json"
    if link is not None:
        link(clock, written)
    words = ("fuse", *clip_pair, here / "o.mp4", *AVERAGE, "--clock", clock)
    done = mgdn_here(*words, "--trace", written, "-y")
    assert done.code == 2
    assert f"would overwrite the input {clock}" in done.err
    assert clock.read_text() == '{"offset_ms": 0.0}'
    vi = clip_pair[0]
    os.link(vi, here / "counts.mkv")
    done = mgdn_here("fuse", *clip_pair, here / "counts.mkv", *AVERAGE, "-y")
    assert done.code == 2 and f"would overwrite the input {vi}" in done.err


def test_one_name_is_not_given_twice(clip_pair, mgdn_here, here, names):
    words = ("fuse", *clip_pair, here / "o.mkv", *AVERAGE)
    (here / "c.mkv").symlink_to("o.mkv")
    done = mgdn_here(*words, "--record-infrared", here / "c.mkv")
    assert done.code == 2
    assert "8-bit" in done.err  # nothing was begun, either
    assert names(here) == ["c.mkv"]


def test_a_link_stays_and_the_file_behind_it_keeps_its_mode(tmp_path, clip_pair, decode_clip, here):
    there = tmp_path / "there.mp4"
    there.write_bytes(b"of yesterday")
    there.chmod(0o640)
    (here / "o.mp4").symlink_to(there)
    seen = []

    def look():
        seen.append(stat.S_IMODE((tmp_path / "there.part.mp4").stat().st_mode))

    fuse_files(
        *map(str, clip_pair), str(here / "o.mp4"), network="average", overwrite=True, on_frame=look
    )
    assert (here / "o.mp4").is_symlink()
    assert stat.S_IMODE(there.stat().st_mode) == 0o640
    assert set(seen) == {0o640}
    assert len(decode_clip(there)[1]) == 6


def test_what_an_earlier_run_left_stays(clip_pair, here, names):
    for name in ("o.part.mp4", "o.part2.mp4"):
        (here / name).write_bytes(name.encode())
    vi, ir = map(str, clip_pair)
    fuse_files(vi, ir, str(here / "o.mp4"), network="average")
    assert names(here) == ["o.mp4", "o.part.mp4", "o.part2.mp4"]
    assert (here / "o.part.mp4").read_bytes() == b"o.part.mp4"
    assert (here / "o.part2.mp4").read_bytes() == b"o.part2.mp4"


def test_what_appears_meanwhile_stays(clip_pair, decode_clip, here, names):
    output = here / "o.mp4"

    def somebody_else():
        output.write_bytes(b"theirs")

    with pytest.raises(EndedEarlyError, match=r"o\.mp4 appeared meanwhile.*part\.mp4 has 6 of 6"):
        fuse_files(*map(str, clip_pair), str(output), network="average", on_frame=somebody_else)
    assert output.read_bytes() == b"theirs"
    assert len(decode_clip(here / "o.part.mp4")[1]) == 6
    fuse_files(
        *map(str, clip_pair), str(output), network="average", on_frame=somebody_else,
        overwrite=True,
    )  # fmt: skip
    assert len(decode_clip(output)[1]) == 6
    assert names(here) == ["o.mp4", "o.part.mp4"]


@pytest.mark.parametrize("output", ["o.mp4", "o"])
def test_a_second_run_into_the_same_name_is_refused_at_once(clip_pair, here, output, names):
    vi, ir = map(str, clip_pair)
    refused = []

    def run_again():
        if not refused:
            with pytest.raises(UserError) as error:
                fuse_files(vi, ir, str(here / output), network="average", overwrite=True)
            refused.append(str(error.value))

    fuse_files(vi, ir, str(here / output), network="average", on_frame=run_again)
    assert "is being written by another run" in refused[0]
    assert names(here) == [output]


def test_a_pipe_is_written_through(clip_pair, here):
    pipe = here / "o.mkv"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    fuse_files(*map(str, clip_pair), str(pipe), network="average")
    reader.join(20)
    (here / "read.mkv").write_bytes(read[0])
    with av.open(str(here / "read.mkv")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
    assert pipe.is_fifo()


def test_closed_standard_streams_are_no_recording(clip_pair, decode_clip, here):
    """A closed stderr's number goes to the next file opened, and FFmpeg prints there."""
    words = ["fuse", *map(str, clip_pair), str(here / "o.mp4"), *AVERAGE]
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&- 2>&- <&-', sys.executable, "-c", MAIN, *words], check=False
    )
    assert done.returncode == 0
    assert len(decode_clip(here / "o.mp4")[1]) == 6
