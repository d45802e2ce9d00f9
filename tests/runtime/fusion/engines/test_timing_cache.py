"""Timings come back as they were, and never damaged ones."""

import pytest
from support.engine_samples import KEY, changed_key

from mgdn_edge.runtime.fusion.engines.timing_cache import read_timings, timing_path, write_timings


def test_timings_survive_and_belong_to_a_device(tmp_path):
    path = timing_path(tmp_path, KEY)
    assert read_timings(path) == (b"", "")
    write_timings(path, b"times")
    assert read_timings(path) == (b"times", "")
    assert timing_path(tmp_path, changed_key("model_sha256")) == path
    assert timing_path(tmp_path, changed_key("builder_version")) != path


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "short"])
def test_damaged_timings_are_left_out_and_it_is_said(tmp_path, damage):
    path = timing_path(tmp_path, KEY)
    write_timings(path, b"times")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1 if damage == "flipped" else 0
    path.write_bytes(data[: {"cut": -1, "emptied": 0, "short": 10}.get(damage, len(data))])
    timings, note = read_timings(path)
    assert timings == b"" and "is damaged and left out" in note


def test_unreadable_timings_are_said(tmp_path):
    path = timing_path(tmp_path, KEY)
    path.mkdir(parents=True)
    timings, note = read_timings(path)
    assert timings == b"" and "cannot be read" in note
