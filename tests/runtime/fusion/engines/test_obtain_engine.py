"""One engine: cached or built, kept where that is possible, and what is said about it."""

import errno
import json
import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.engine_samples import PLENTY, STANDIN
from support.progress import Told

from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines import engine_cache
from mgdn_edge.runtime.fusion.engines.engine_cache import LOCK_FILE, EngineCache, read_engine_record
from mgdn_edge.runtime.fusion.engines.engine_key import BuildOptions
from mgdn_edge.runtime.fusion.engines.memory_need import MIB
from mgdn_edge.runtime.fusion.engines.obtain_engine import FreeMemory, free_memory, obtain_engine
from mgdn_edge.runtime.fusion.engines.timing_cache import read_timings, timing_path, write_timings

LITTLE = FreeMemory(host=lambda: 100 * MIB)


def obtain(plan, cache, **changes):
    return obtain_engine(plan, cache, **{"free": PLENTY} | changes)


def test_built_once_then_cached(standin, make_plan, cache):
    plan = make_plan()
    built = obtain(plan, cache)
    assert (built.origin, built.notes, built.verified) == ("built", (), None)
    assert built.size == (12, 16)
    assert built.path == cache.path_of("tiny", "16x12", plan.key)
    again = obtain(plan, cache)
    assert (again.origin, again.data) == ("cached", built.data)
    assert again.build_seconds == built.build_seconds > 0
    record = read_engine_record(built.path)
    assert (record.layers, record.network, record.key) == (7, "tiny", plan.key)


def test_the_options_reach_the_builder(standin, make_plan, cache):
    plan = make_plan(options=BuildOptions(workspace_mib=3, tf32=True, optimization_level=5))
    told = json.loads(obtain(plan, cache).data)
    assert (told["workspace"], told["tf32"], told["level"]) == (3 * MIB, True, 5)


def test_why_it_is_built_is_said(standin, make_plan, cache):
    said = []
    obtain(make_plan(), cache, progress=Told(said=said))
    obtain(make_plan(options=BuildOptions(tf32=True)), cache, progress=Told(said=said))
    assert "there is none for tiny, variant 16x12" in said[0]
    assert said[1] == "building an engine: the nearest one differs in TF32 (wanted on, found off)"


def test_a_damaged_engine_is_said_and_built_again(standin, make_plan, cache):
    path = obtain(make_plan(), cache).path
    path.write_bytes(path.read_bytes()[:-1])
    said = []
    again = obtain(make_plan(), cache, progress=Told(said=said))
    assert again.origin == "built" and "is damaged" in said[0]
    assert obtain(make_plan(), cache).origin == "cached"


@pytest.mark.parametrize("damage", ["nothing", "cut"])
def test_cached_only_builds_nothing(standin, make_plan, cache, damage):
    standin("killed")
    if damage == "cut":
        standin()
        path = obtain(make_plan(), cache).path
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DeviceError, match=r"no cached engine fits: .*run: mgdn build") as error:
        obtain(make_plan(), cache, cached_only=True)
    assert error.value.exit_code == 3
    assert ("is damaged" in str(error.value)) == (damage == "cut")


def test_too_little_memory_is_refused_before_anything_runs(standin, make_plan, cache):
    standin("killed")
    with pytest.raises(DeviceError, match=r"could use up the memory: .* with 100 MiB free"):
        obtain(make_plan(), cache, free=LITTLE)
    standin()
    assert obtain(make_plan(), cache, free=LITTLE, ignore_memory=True).origin == "built"


def test_a_killed_build_leaves_nothing_and_says_the_numbers(standin, make_plan, cache):
    standin("killed")
    with pytest.raises(DeviceError, match=r"killed while .* 2049 MiB .* with 1048576 MiB free"):
        obtain(make_plan(), cache)
    assert list(cache.engines.iterdir()) == []


def test_a_gpu_of_its_own_memory_is_asked(standin, make_plan, cache):
    free = FreeMemory(host=lambda: 1 << 40, gpu=lambda: 7 * MIB)
    with pytest.raises(DeviceError, match="7 MiB free on the GPU"):
        obtain(make_plan(), cache, free=free)
    assert free_memory(integrated=True).gpu is None
    assert free_memory(integrated=False).gpu is not None


def test_timings_go_from_build_to_build(standin, make_plan, cache):
    obtain(make_plan(), cache)
    path = timing_path(cache.folder, make_plan().key)
    assert read_timings(path) == (b"T", "")
    told = json.loads(obtain(make_plan(options=BuildOptions(tf32=True)), cache).data)
    assert told["known_timings"] == "T"
    assert read_timings(path) == (b"TT", "")


def test_damaged_timings_are_a_note(standin, make_plan, cache):
    path = timing_path(cache.folder, make_plan().key)
    write_timings(path, b"T")
    path.write_bytes(b"x" * 40)
    built = obtain(make_plan(), cache)
    assert "is damaged and left out" in built.notes[0]
    assert json.loads(built.data)["known_timings"] == ""


def unwritable(kind, tmp_path):
    if kind == "below a file":
        (tmp_path / "file").write_text("")
        return tmp_path / "file" / "cache"
    if kind == "no device":  # even root may not make folders there
        return Path("/proc/mgdn-cache")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    return folder / "cache"


@pytest.mark.parametrize(
    "kind",
    [
        "below a file",
        "no device",
        pytest.param(
            "read-only",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere"),
        ),
    ],
)
def test_a_folder_that_cannot_be_written_is_said_and_the_engine_not_kept(
    standin, make_plan, tmp_path, kind
):
    cache, said = EngineCache(unwritable(kind, tmp_path)), []
    built = obtain(make_plan(), cache, progress=Told(said=said))
    assert built.origin == "built" and built.path is None and len(built.data) > 0
    assert any("the engine is not kept" in note and "MGDN_CACHE" in note for note in built.notes)
    assert built.notes[-1] in said


def test_a_full_disk_does_not_cost_a_finished_build(standin, make_plan, cache, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engine_cache, "write_whole", full)
    built = obtain(make_plan(), cache)
    assert built.path is None
    assert "cannot be written (No space left on device)" in built.notes[0]


def test_a_filled_cache_made_read_only_still_serves(standin, make_plan, cache):
    obtain(make_plan(), cache)
    for path in (*cache.engines.iterdir(), cache.engines, cache.folder):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    standin("killed")
    assert obtain(make_plan(), cache).origin == "cached"


def _obtain_in_process(plan, folder, queue):
    os.environ["PYTHONPATH"] = str(STANDIN)
    engine = obtain_engine(plan, EngineCache(folder), free=PLENTY)
    queue.put((engine.origin, engine.data))


def test_two_processes_build_one_engine(standin, make_plan, cache):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with cache.lock():  # both wait, so both want to build
        workers = [
            context.Process(target=_obtain_in_process, args=(make_plan(), cache.folder, queue))
            for _ in range(2)
        ]
        for worker in workers:
            worker.start()
    answers = [queue.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(origin for origin, _ in answers) == ["built", "cached"]
    assert answers[0][1] == answers[1][1]


HOLD_THE_LOCK = (
    "import fcntl, sys, time; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX);"
    "print(flush=True); time.sleep(0.3)"
)


def test_waiting_for_another_builder_is_said(cache):
    said = []
    cache.folder.mkdir()
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(cache.folder / LOCK_FILE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with cache.lock(Told(said=said)):
            pass
    assert len(said) == 1 and "another process builds an engine" in said[0]
