"""``synthetic://`` is opened, paired and fused like a recording."""

import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mgdn_edge.cli import build_app
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fuse import fuse_files
from mgdn_edge.runtime.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.synthetic import Rig, open_rig

SCENE = "synthetic://night?seed=1&frames=4&size=96x64&fps=50"


def test_one_uri_gives_both_cameras_of_one_scene() -> None:
    rig = open_rig(SCENE)
    with open_visible(SCENE) as visible, open_infrared(SCENE) as infrared:
        assert visible.info.frames == infrared.info.frames == 4
        assert visible.info.size == infrared.info.size == (64, 96)
        assert visible.info.rate == 50 and visible.info.time_base == Fraction(1, 50)
        assert not visible.info.live and visible.paths == infrared.paths == []
        pairs = list(zip(visible.frames(), infrared.frames(), strict=True))
        for number, (ours, theirs) in enumerate(pairs):
            expected = rig.frame(number)
            assert np.array_equal(ours.y, expected.visible.y)
            assert np.array_equal(theirs.plane, expected.infrared.plane)
            assert ours.pts_ns == theirs.pts_ns == number * 20_000_000
            assert ours.seq == theirs.seq == number


def test_a_scene_is_fused_into_a_clip(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"an earlier output")
    summary = fuse_files(SCENE, SCENE, str(output), network="average", overwrite=True)
    assert summary.frames.out == 4 and summary.size == "96x64"
    with open_visible(str(output)) as clip:
        assert clip.info.frames == 4
        fused = next(iter(clip.frames()))
    rig = open_rig(SCENE)
    mean = (rig.visible(0).y.astype(int) + rig.infrared(0).plane) // 2
    assert np.abs(fused.y - mean).mean() < 4
    assert fused.tags.full_range is True


def test_lost_frames_are_refused_unless_shortest(tmp_path: Path) -> None:
    lossy = "synthetic://night?frames=40&size=32x32&loss=0.2"
    with open_visible(lossy) as visible, open_infrared(lossy) as infrared:
        kept = infrared.info.frames
        assert visible.info.frames == 40 and kept is not None and 20 < kept < 40
        stamps = [frame.pts_ns for frame in infrared.frames()]
        assert len(stamps) == kept and max(stamps) <= 39 * 40_000_000
    with pytest.raises(UserError, match="visible has 40 frames, infrared"):
        fuse_files(lossy, lossy, str(tmp_path / "o.mp4"), network="average")
    summary = fuse_files(lossy, lossy, str(tmp_path / "o.mp4"), network="average", shortest=True)
    assert summary.frames.out == kept


def test_counts_need_a_span_as_files_do(tmp_path: Path) -> None:
    counts = f"{SCENE}&ir_bits=16"
    with pytest.raises(UserError, match="--infrared-span"):
        fuse_files(counts, counts, str(tmp_path / "o.mp4"), network="average")
    options = InfraredOptions(span=open_rig(counts).span)
    with open_infrared(counts, options) as sixteen, open_infrared(SCENE) as eight:
        for ours, theirs in zip(sixteen.frames(), eight.frames(), strict=True):
            assert np.abs(ours.plane.astype(int) - theirs.plane).max() <= 1


def test_cameras_of_two_sizes_need_resize(tmp_path: Path) -> None:
    scene = f"{SCENE}&ir_size=48x40"
    with pytest.raises(UserError, match="--resize"):
        fuse_files(scene, scene, str(tmp_path / "o.mp4"), network="average")
    summary = fuse_files(scene, scene, str(tmp_path / "o.mp4"), network="average", resize=True)
    assert summary.size == "96x64"


def test_the_command_reports_a_wrong_scene_in_one_line(tmp_path: Path) -> None:
    code = "import sys; from mgdn_edge.cli import main; main()"
    command = [sys.executable, "-c", code, "fuse", "synthetic://noon", SCENE, "o.mp4"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "night, dusk, day, smoke" in result.stderr and not (tmp_path / "o.mp4").exists()


def test_evaluate_prints_rows_by_network_and_seed(capsys: pytest.CaptureFixture[str]) -> None:
    scene = "synthetic://night?size=160x120"
    command = [scene, "--network", "average", "--compare", "laplacian", "--seeds", "1-2"]
    run = ["evaluate", *command, "--frames", "1"]
    build_app()([*run, "--json"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)["rows"]
    names = [(row["network"], row["seed"]) for row in rows]
    assert names == [("average", 1), ("average", 2), ("laplacian", 1), ("laplacian", 2)]
    build_app()(run, standalone_mode=False)
    table = capsys.readouterr().out
    assert table.count("mean") == 2 and "overshoot" in table


@pytest.mark.parametrize(
    "wrong", [["--seeds", "5-1"], ["--seeds", "x"], ["--frames", "999"], ["--network", "x"]]
)
def test_evaluate_refuses_what_it_cannot_do(wrong: list[str]) -> None:
    with pytest.raises(UserError, match=wrong[1]):
        build_app()(["evaluate", "synthetic://night?size=16x16", *wrong], standalone_mode=False)


def test_a_frame_is_drawn_within_its_time(night: Rig) -> None:
    # 320x240 is a quarter of 640x480; the least of several, as other processes run too.
    times = []
    for number in range(8):
        start = time.process_time()
        night.visible(number)
        night.infrared(number)
        times.append(time.process_time() - start)
    assert min(times[1:]) < 0.08
