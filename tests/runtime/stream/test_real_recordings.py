"""Real recordings through the default network, from the command line."""

from fractions import Fraction

import cv2
import numpy as np
import pytest


@pytest.mark.data
def test_a_real_clip_keeps_its_stamps_and_colours(tmp_path, shared, mgdn, decode_clip):
    folder = shared / "data" / "sequences" / "0113_1714_mp4"
    output = tmp_path / "out.mp4"
    done = mgdn("fuse", folder / "vi.mp4", folder / "ir.mp4", output, "--json")
    summary = done.summary
    assert summary["frames"] == {"in": 560, "out": 560, "dropped": 0}
    used = [summary[key] for key in ("network", "backend", "variant", "precision")]
    assert used == ["mgdn-edge", "onnxruntime-cpu", "640x480", "fp32"]
    assert 0 < summary["end_to_end"]["p50"] <= summary["end_to_end"]["p95"]
    assert summary["end_to_end"]["p95"] <= summary["end_to_end"]["p99"]
    base_in, before = decode_clip(folder / "vi.mp4")
    base_out, after = decode_clip(output)
    assert base_in == base_out == Fraction(1, 15360)
    assert [frame.pts for frame in after] == [frame.pts for frame in before]
    assert {frame.format.name for frame in after} == {"yuv420p"}
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        assert getattr(after[0], name) == getattr(before[0], name)
    for index in range(0, 560, 40):
        for plane in (1, 2):
            ours = np.frombuffer(after[index].planes[plane], np.uint8).astype(int)
            theirs = np.frombuffer(before[index].planes[plane], np.uint8)
            assert np.abs(ours - theirs).mean() < 1


@pytest.mark.data
@pytest.mark.parametrize(("name", "count"), [("tno", 16), ("roadscene", 160)])
def test_real_folders_keep_stems_and_sizes(tmp_path, shared, mgdn, name, count):
    folder = shared / "data" / name
    words = ("fuse", folder / "vi", folder / "ir", tmp_path / "out", "--json")
    summary = mgdn(*words).summary
    assert summary["frames"]["out"] == count and summary["variant"] == "dynamic"
    sources = {path.stem: path for path in (folder / "vi").iterdir()}
    written = {path.stem: path for path in (tmp_path / "out").iterdir()}
    assert set(sources) == set(written)
    for stem, path in written.items():
        before = cv2.imread(str(sources[stem]), cv2.IMREAD_UNCHANGED)
        after = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert before.shape == after.shape
