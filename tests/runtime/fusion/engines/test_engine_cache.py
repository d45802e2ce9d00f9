"""The cache hands out an engine only where every field and every byte fits, and says why not."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from support.engine_samples import KEY, changed_key, store_engine

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.engine_cache import (
    CachedEngine,
    EngineCache,
    Miss,
    Verification,
    cache_folder,
    read_engine_record,
)
from mgdn_edge.runtime.fusion.engines.engine_key import FIELD_NAMES, EngineKey

SEEN = Verification("golden pair", 0.0, 1.0, 1.0)


def find(cache, key=KEY):
    return cache.find("net", "640x480", key)


def test_what_was_stored_is_found(cache):
    path = store_engine(cache, data=b"bytes of an engine")
    found = find(cache)
    assert isinstance(found, CachedEngine)
    assert (found.path, found.data) == (path, b"bytes of an engine")
    assert found.record.key == KEY


def test_an_empty_cache_says_where_it_looked(cache):
    found = find(cache)
    assert isinstance(found, Miss) and found.nearest is None
    assert str(cache.engines) in found.reason
    assert not cache.folder.exists()


@pytest.mark.parametrize("field", sorted(set(EngineKey.__struct_fields__) - {"height", "width"}))
def test_a_mismatch_names_the_field_with_both_values(cache, field):
    store_engine(cache, key=changed_key(field))
    found = find(cache)
    assert isinstance(found, Miss)
    others = [name for name in FIELD_NAMES.values() if f"{name} (wanted" in found.reason]
    assert others == [FIELD_NAMES[field]]
    assert "found" in found.reason and found.nearest is not None


def test_engines_of_other_sizes_and_networks_are_not_near(cache):
    store_engine(cache, key=changed_key("height"))
    store_engine(cache, network="other")
    assert find(cache).nearest is None


def test_the_nearest_has_the_fewest_differences_then_is_the_newest(cache):
    far = msgspec.structs.replace(KEY, gpu="Thor", compute_capability="11.0")
    near = changed_key("driver")
    for key in (near, far):
        store_engine(cache, key=key)
    assert find(cache).nearest.key == near
    newer = changed_key("l4t")
    store_engine(cache, key=newer)
    assert find(cache).nearest.key == newer


DAMAGE = {
    "cut": (lambda data: data[:-1], "damaged: 17 bytes instead of 18"),
    "emptied": (lambda data: b"", "damaged: 0 bytes instead of 18"),
    "grown": (lambda data: data + b"\0", "damaged: 19 bytes"),
    "flipped": (lambda data: bytes([data[0] ^ 1]) + data[1:], "damaged: its digest"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_engine_is_not_handed_out(cache, name):
    damage, sentence = DAMAGE[name]
    path = store_engine(cache, data=b"bytes of an engine")
    path.write_bytes(damage(path.read_bytes()))
    found = find(cache)
    assert isinstance(found, Miss) and sentence in found.reason and str(path) in found.reason


RECORDS = {
    "missing": (None, "its record is missing"),
    "empty": (b"", "damaged or of another version"),
    "no json": (b"\xff\xfe", "damaged or of another version"),
    "cut": (b'{"schema":1,"network":"n', "damaged or of another version"),
    "other schema": (b'{"schema":2}', "damaged or of another version"),
    "unknown field": (b'{"schema":1,"more":1}', "damaged or of another version"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_an_engine_without_a_sound_record_is_not_handed_out(cache, name):
    content, sentence = RECORDS[name]
    path = store_engine(cache)
    sidecar = path.with_suffix(".json")
    sidecar.unlink() if content is None else sidecar.write_bytes(content)
    found = find(cache)
    assert isinstance(found, Miss) and sentence in found.reason


def test_a_record_without_its_engine_is_not_handed_out(cache):
    path = store_engine(cache)
    path.unlink()
    found = find(cache)
    assert isinstance(found, Miss) and "cannot be read" in found.reason


def test_a_copied_engine_of_another_device_is_told_by_its_record(cache):
    theirs = msgspec.structs.replace(KEY, gpu="NVIDIA Thor", compute_capability="11.0", sm_count=20)
    source = store_engine(cache, key=theirs)
    target = cache.path_of("net", "640x480", KEY)
    for suffix in (".engine", ".json"):
        source.with_suffix(suffix).rename(target.with_suffix(suffix))
    found = find(cache)
    assert isinstance(found, Miss)
    assert "is an engine of another device" in found.reason
    assert "GPU (wanted Orin, found NVIDIA Thor)" in found.reason
    assert "SM count (wanted 16, found 20)" in found.reason


def test_an_engine_renamed_on_one_device_is_told_too(cache):
    source = store_engine(cache, key=changed_key("tf32"))
    target = cache.path_of("net", "640x480", KEY)
    for suffix in (".engine", ".json"):
        source.with_suffix(suffix).rename(target.with_suffix(suffix))
    found = find(cache)
    assert "an engine of another key: it differs in TF32 (wanted off, found on)" in found.reason


def test_the_folders_are_private_and_one_open_to_all_is_refused(cache):
    store_engine(cache)
    for folder in (cache.folder, cache.engines):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for folder in (cache.engines, cache.folder):
        folder.chmod(0o777)
        with pytest.raises(DeviceError, match=r"engines are code; run: chmod o-w") as error:
            EngineCache(cache.folder)
        assert error.value.exit_code == 3
        folder.chmod(0o700)


def test_parity_is_written_into_the_record_and_nothing_else_changes(cache):
    path = store_engine(cache)
    before = read_engine_record(path)
    cache.mark_verified(path, SEEN)
    after = read_engine_record(path)
    assert after.verified == SEEN
    assert msgspec.structs.replace(after, verified=None) == before
    assert find(cache).record.verified == SEEN
    store_engine(cache)  # a new build has not been seen
    assert find(cache).record.verified is None


def test_use_is_noted_for_cleaning(cache):
    path = store_engine(cache)
    os.utime(path, (1000, 1000))
    find(cache)
    assert path.stat().st_mtime > 1000


def test_the_folder_is_the_option_the_variable_or_the_users(monkeypatch):
    monkeypatch.setenv("MGDN_CACHE", "/named")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/u")
    assert cache_folder(Path("/chosen")) == Path("/chosen")
    assert cache_folder() == Path("/named")
    monkeypatch.delenv("MGDN_CACHE")
    assert cache_folder() == Path("/xdg/mgdn-edge")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/u/.cache/mgdn-edge")
