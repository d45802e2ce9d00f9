import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import Pairs


def pairs_of(vi, ir, **options):
    return Pairs(open_visible(str(vi)), open_infrared(str(ir)), **options)


def stems_of(pairs):
    return [(pair.visible.stem, pair.infrared.stem) for pair in pairs.read()]


def test_clips_in_lockstep(clip_pair):
    pairs = pairs_of(*clip_pair)
    assert pairs.count == 6
    assert pairs.size == (48, 64)
    for seq, pair in enumerate(pairs.read()):
        assert pair.stamps.seq == pair.visible.seq == pair.infrared.seq == seq
        assert pair.stamps.pts_ns == pair.visible.pts_ns == seq * 40_000_000
        stamps = pair.stamps
        assert 0 < stamps.read_ns <= stamps.decoded_ns <= stamps.paired_ns


def test_different_lengths_name_both(tmp_path, write_clip):
    vi = write_clip(tmp_path / "vi.mkv", frames=6)
    ir = write_clip(tmp_path / "ir.mkv", frames=4, neutral=True)
    with pytest.raises(UserError, match=r"visible has 6 frames, infrared 4.*--shortest"):
        pairs_of(vi, ir)
    assert len(list(pairs_of(vi, ir, shortest=True).read())) == 4
    assert len(list(pairs_of(vi, ir, frames=3).read())) == 3
    with pytest.raises(UserError, match="6 frames, infrared 4"):
        pairs_of(vi, ir, frames=5)


def test_more_frames_than_there_are_is_all_of_them(clip_pair):
    assert pairs_of(*clip_pair, frames=99).count == 6


@pytest.mark.parametrize("frames", [0, -1])
def test_zero_frames_are_refused(clip_pair, frames):
    with pytest.raises(UserError, match="asks for no frame"):
        pairs_of(*clip_pair, frames=frames)


def test_folders_pair_by_stem_whatever_the_suffix(folder_pair):
    vi, ir = folder_pair
    for path in ir.glob("*.png"):
        path.rename(path.with_suffix(".PNG"))
    assert stems_of(pairs_of(vi, ir)) == [("1", "1"), ("2", "2"), ("10", "10")]


def test_missing_stems_are_named_up_to_three(folder_pair):
    vi, ir = folder_pair
    for stem in ("a", "b", "c", "d"):
        cv2.imwrite(str(vi / f"{stem}.png"), np.zeros((2, 2), np.uint8))
    (vi / "10.png").unlink()
    with pytest.raises(UserError, match=r"a, b, c and 1 more missing in .*ir; 10 missing in .*vi"):
        pairs_of(vi, ir)
    assert stems_of(pairs_of(vi, ir, shortest=True)) == [("1", "1"), ("2", "2")]


def test_folders_without_a_common_stem(folder_pair):
    vi, ir = folder_pair
    for path in ir.iterdir():
        path.rename(ir / f"x{path.name}")
    with pytest.raises(UserError, match="share no file stem"):
        pairs_of(vi, ir, shortest=True)


def test_single_images_pair_whatever_their_stems(folder_pair):
    vi, ir = folder_pair
    (ir / "1.png").rename(ir / "other.png")
    assert stems_of(pairs_of(vi / "1.png", ir / "other.png")) == [("1", "other")]


def test_different_sizes_name_both(tmp_path, write_clip):
    vi = write_clip(tmp_path / "vi.mkv")
    ir = write_clip(tmp_path / "ir.mkv", size=(24, 32), neutral=True)
    with pytest.raises(UserError, match=r"visible is 64x48, infrared 32x24.*--resize"):
        pairs_of(vi, ir)
    assert pairs_of(vi, ir, resize=True).size == (48, 64)


def test_a_later_pair_of_different_size_is_found_too(folder_pair):
    vi, ir = folder_pair
    cv2.imwrite(str(ir / "10.png"), np.zeros((5, 5), np.uint8))
    with pytest.raises(UserError, match="10: visible is 40x17, infrared 5x5"):
        list(pairs_of(vi, ir).read())


def test_a_clip_shorter_than_its_packets_say_is_an_error(clip_pair, monkeypatch):
    pairs = pairs_of(*clip_pair)
    whole = pairs.infrared.frames

    def cut():
        for frame in whole():
            if frame.seq == 4:
                return
            yield frame

    monkeypatch.setattr(pairs.infrared, "frames", cut)
    with pytest.raises(UserError, match="ends after 4 frames"):
        list(pairs.read())
