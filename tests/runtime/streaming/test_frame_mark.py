"""The mark in a frame's PNG: it changes no pixel, and any change makes the frame somebody's own."""

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.sinks.frame_mark import is_unchanged_frame, mark_frame


@pytest.fixture
def png():
    picture = np.random.default_rng(3).integers(0, 256, (9, 7, 3), np.uint8)
    return cv2.imencode(".png", picture)[1].tobytes()


def test_the_picture_is_the_same(png):
    before, after = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        for data in (png, mark_frame(png))
    )
    assert (before == after).all()
    assert b"Software\0mgdn fuse" in mark_frame(png)


def test_only_what_was_written_is_known(tmp_path, png):
    marked = mark_frame(png)
    (frame := tmp_path / "1.png").write_bytes(marked)
    assert is_unchanged_frame(frame)
    for other in (png, b"", marked[:-1], marked + b"x", marked[:40], mark_frame(marked)[:-12]):
        frame.write_bytes(other)
        assert not is_unchanged_frame(frame)
    for position in range(0, len(marked), 7):
        changed = bytearray(marked)
        changed[position] ^= 1
        frame.write_bytes(changed)
        assert not is_unchanged_frame(frame), position


def test_links_folders_and_other_kinds_are_not_frames(tmp_path, png):
    (tmp_path / "1.jpg").write_bytes(mark_frame(png))
    (tmp_path / "2.png").symlink_to("1.jpg")
    (tmp_path / "3.png").mkdir()
    (tmp_path / "4.png").symlink_to("nowhere")
    assert not any(is_unchanged_frame(path) for path in tmp_path.iterdir())
