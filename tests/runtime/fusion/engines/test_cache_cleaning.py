"""Cleaning removes what was asked and what no engine is, and nothing else."""

import os
import time

import pytest
from support.engine_samples import KEY, changed_key, store_engine

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.engines.cache_cleaning import DAY_SECONDS, clean_cache
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache
from mgdn_edge.runtime.fusion.engines.engine_list import list_engines
from mgdn_edge.runtime.fusion.engines.timing_cache import timing_path, write_timings


@pytest.fixture
def filled(cache):
    """Three engines of 10 bytes, used 1, 5 and 9 days ago, and timings."""
    paths = []
    for days, key in ((1, KEY), (5, changed_key("tf32")), (9, changed_key("gpu"))):
        path = store_engine(cache, key=key, data=b"x" * 10)
        used = time.time() - days * DAY_SECONDS
        os.utime(path, (used, used))
        paths.append(path)
    write_timings(timing_path(cache.folder, KEY), b"T")
    return paths


def leftovers(cache):
    """Files a crash or a careless copy leaves."""
    (cache.engines / ".a.engine.77.part").write_bytes(b"half")
    (cache.engines / f".mgdn-{'0' * 16}.part").write_bytes(b"half")
    (cache.engines / f"net-dynamic-{'0' * 16}.json").write_bytes(b"{}")
    lone = store_engine(cache, key=changed_key("l4t"))
    lone.with_suffix(".json").unlink()
    damaged = store_engine(cache, key=changed_key("driver"))
    damaged.with_suffix(".json").write_bytes(b"{")
    return 5


@pytest.mark.parametrize(
    ("asked", "gone"),
    [
        ({}, []),
        ({"older_than_days": 4}, [1, 2]),
        ({"older_than_days": 9.5}, []),
        ({"max_bytes": 30}, []),
        ({"max_bytes": 29}, [2]),
        ({"max_bytes": 10}, [1, 2]),
        ({"max_bytes": 0}, [0, 1, 2]),
        ({"max_bytes": 10, "older_than_days": 8}, [1, 2]),
        ({"everything": True}, [0, 1, 2]),
    ],
)
def test_by_age_and_size_the_longest_unused_first(cache, filled, asked, gone):
    planned = clean_cache(cache, dry_run=True, **asked)
    assert all(path.exists() for path in filled)
    assert clean_cache(cache, **asked) == planned
    assert [path for path in filled if not path.exists()] == [filled[number] for number in gone]
    for path in filled:
        assert path.with_suffix(".json").exists() == path.exists()
    timings = timing_path(cache.folder, KEY)
    assert timings.exists() != ("everything" in asked)
    for number in gone:
        assert filled[number] in [removal.path for removal in planned]


def test_what_is_no_engine_goes_always(cache, filled):
    count = leftovers(cache)
    removals = clean_cache(cache)
    assert len(removals) == count
    assert sorted(cache.engines.iterdir()) == sorted(
        path.with_suffix(suffix) for path in filled for suffix in (".engine", ".json")
    )


def test_files_of_others_stay_whatever_is_asked(cache, filled):
    mine = [cache.engines / "yolo.engine", cache.engines / "notes.json", cache.engines / ".part"]
    mine += [cache.folder / "timing" / "times.csv", cache.folder / "timing" / "old.timing"]
    for path in mine:
        path.write_bytes(b"mine")
    (cache.engines / "net-640x480-fp16").mkdir()
    clean_cache(cache, everything=True)
    assert all(path.read_bytes() == b"mine" for path in mine)
    assert sorted(cache.engines.iterdir()) == sorted(
        [*mine[:3], cache.engines / "net-640x480-fp16"]
    )


def test_an_empty_cache_is_clean_and_not_made(cache):
    assert clean_cache(cache, everything=True) == []
    assert not cache.folder.exists()


def test_what_cannot_be_removed_is_said(cache, filled, monkeypatch):
    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(filled[0]), "unlink", refuse)
    with pytest.raises(UserError, match=r"cannot clean .*Permission denied"):
        clean_cache(cache, everything=True)


def test_the_list_says_what_is_wrong(cache, filled):
    filled[0].write_bytes(b"y" * 10)
    filled[1].with_suffix(".json").unlink()
    states = {engine.path: engine.state for engine in list_engines(cache)}
    assert states == {
        filled[0]: "damaged: its digest is not the one recorded",
        filled[1]: "its record is missing",
        filled[2]: "sound",
    }
    assert list_engines(EngineCache(cache.folder / "none")) == []
