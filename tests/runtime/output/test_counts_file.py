import json

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.counts_file import read_counts
from mgdn_edge.runtime.thermal.count_scale import CountScale, parse_scale, parse_span


@pytest.fixture
def recordings(tmp_path):
    """Three visible pictures of 40x30 and their 16-bit infrared of 20x15."""
    rng = np.random.default_rng(0)
    for name, shape, kind, top in (
        ("vi", (30, 40), np.uint8, 255),
        ("ir", (15, 20), np.uint16, 9000),
    ):
        (tmp_path / name).mkdir()
        for number in range(3):
            picture = rng.integers(0, top, shape).astype(kind)
            assert cv2.imwrite(str(tmp_path / name / f"{number}.png"), picture)
    return tmp_path


def fuse(run_mgdn, folder, *more):
    return run_mgdn(
        "fuse", folder / "vi", folder / "ir", folder / "out.mp4", "--network", "average",
        "--resize", "--record-infrared", folder / "counts.mkv", *more,
    )  # fmt: skip


def test_a_value_is_read_at_a_pixel_of_the_fused_picture(run_mgdn, recordings):
    done = fuse(run_mgdn, recordings, "--infrared-agc", "plateau", "--infrared-scale", "0.04")
    assert done.code == 0, done.err
    for number in range(3):
        stored = cv2.imread(str(recordings / "ir" / f"{number}.png"), cv2.IMREAD_UNCHANGED)
        for x, y in ((0, 0), (39, 29), (21, 10)):
            words = ("--at", f"{x},{y}", "--frame", number, "--json")
            read = json.loads(run_mgdn("temperature", recordings / "counts.mkv", *words).out)
            assert read["count"] == int(stored[y // 2, x // 2])
            assert read["celsius"] == pytest.approx(read["count"] * 0.04 - 273.15, abs=1e-3)
            assert read["seconds"] == pytest.approx(number * 0.04)
    line = run_mgdn("temperature", recordings / "counts.mkv", "--at", "3,3").out
    assert "infrared pixel 1,1" in line and " C" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "40,0"), "outside the fused picture, 40x30"),
        (("--at", "0,0", "--frame", "3"), "has 3 frames"),
        (("--at", "here"), "is not X,Y"),
    ],
)
def test_what_is_not_there_is_said(run_mgdn, recordings, words, said):
    assert fuse(run_mgdn, recordings, "--infrared-agc", "percentile").code == 0
    done = run_mgdn("temperature", recordings / "counts.mkv", *words)
    assert done.code == 2
    assert said in done.err


def test_a_video_without_the_note_is_refused(recordings):
    with pytest.raises(UserError, match="is not a counts file"):
        read_counts(recordings / "vi" / "0.png", 0, (0, 0))
    with pytest.raises(UserError, match="is not a counts file"):
        read_counts(recordings / "none.mkv", 0, (0, 0))


def test_eight_bit_infrared_has_no_counts_and_leaves_no_file(run_mgdn, recordings):
    done = run_mgdn(
        "fuse", recordings / "vi", recordings / "vi", recordings / "out.mp4",
        "--network", "average", "--record-infrared", recordings / "counts.mkv",
    )  # fmt: skip
    assert done.code == 2
    assert "this infrared is 8-bit" in done.err
    assert not (recordings / "counts.mkv").exists()
    assert not (recordings / "out.mp4").exists()


def test_spans_in_degrees_need_a_scale():
    lepton = parse_scale("0.01")
    assert lepton == CountScale(0.01, 0.0)
    assert parse_span("10C:40c", lepton) == pytest.approx((28315, 31315))
    assert parse_span("7200:9100") == (7200, 9100)
    assert parse_scale("0.025:88.15").celsius(7400) == pytest.approx(0)
    with pytest.raises(UserError, match="--infrared-scale"):
        parse_span("10C:40C")
    for wrong in ("fast", "0", "-1", "nan", "1:2:3", ""):
        with pytest.raises(UserError, match="KELVIN_PER_COUNT"):
            parse_scale(wrong)
