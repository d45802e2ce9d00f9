"""However a builder ends, the program that asked goes on and says one sentence."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mgdn_edge.runtime.errors import DeviceError, printable
from mgdn_edge.runtime.fusion.engines.build_process import run_build
from mgdn_edge.runtime.fusion.engines.build_protocol import (
    BuildRequest,
    Built,
    PhaseBegun,
    StageBegun,
    StepDone,
)

REQUEST = BuildRequest("builder_standin", 12, 16, 1 << 20, False, 3)
MEMORY = "it may need 200 MiB, with 100 MiB free"


def build(show=lambda event: None, timings=b"", **changes):
    request = BuildRequest(
        **{**{f: getattr(REQUEST, f) for f in REQUEST.__struct_fields__}, **changes}
    )
    return run_build(request, b"model", timings, show, MEMORY)


def test_the_builder_is_told_what_was_asked(standin):
    made = build(timings=b"old")
    told = json.loads(made.engine)
    assert told.pop("pid") != os.getpid()
    assert told == {
        "workspace": 1 << 20,
        "tf32": False,
        "level": 3,
        "flags": 1 << 1,  # strongly typed
        "verbosity": "DETAILED",
        "known_timings": "old",
        "oom_score_adj": "1000",
        "alone": True,
    }
    assert (made.layers, made.timings, made.notes) == (7, b"oldT", ())
    assert json.loads(build(tf32=True).engine)["tf32"] is True


def test_a_dynamic_model_gets_a_profile_of_one_size(standin):
    standin("dynamic")
    told = json.loads(build(height=5, width=7).engine)
    assert told["profile"] == {name: [[1, 1, 5, 7]] * 3 for name in ("visible", "infrared")}


def test_what_happens_is_seen_while_it_happens(standin):
    seen = []
    build(seen.append)
    assert [event.name for event in seen if isinstance(event, StageBegun)] == [
        "importing builder_standin", "parsing", "building", "saving",
    ]  # fmt: skip
    assert PhaseBegun("Timing tactics", "Building engine", 4) in seen
    assert StepDone("Timing tactics", 1) in seen
    assert isinstance(seen[-1], Built)


ENDINGS = {
    "killed": "the engine build was killed while timing tactics, as the kernel does when memory "
    f"runs out; {MEMORY}; close other programs",
    "bad_alloc": f"ran out of memory while timing tactics; {MEMORY}; close other programs",
    "limit": f"ran out of memory while timing tactics; {MEMORY}; close other programs",
    "gpu memory": f"ran out of memory while timing tactics; {MEMORY}; close other programs",
    "segfault": "the builder crashed (SIGSEGV) while timing tactics; its last words: Assertion "
    "mRefCount > 0 failed",
    "abort": "the builder crashed (SIGABRT) while timing tactics; its last words: terminate called "
    "after throwing an instance of 'nvinfer1::Error'",
    "parse": "no engine: the parser refused the model at node core.filter/DynamicFilter "
    "(DynamicFilter): Plugin not found",
    "none": "no engine: the builder made no engine: [optimizer.cpp] Error Code 10: Could not find "
    "any implementation for node conv",
    "no module": "no engine: ImportError: libnvinfer.so.10: cannot open shared object file",
    "float input": "no engine: the model is not a frame graph; it has "
    "visible DataType.FLOAT [1, 1]",
    "exit": "no engine: the build process ended with code 7",
    "raise": "no engine: RuntimeError: no such tactic",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_ending_is_one_sentence(standin, ending):
    standin(ending)
    with pytest.raises(DeviceError) as error:
        build()
    sentence = str(error.value)
    assert ENDINGS[ending] in sentence
    assert printable(sentence) == sentence and sentence.count("\n") == 0
    assert error.value.exit_code == 3


def test_a_model_of_another_size_is_refused(standin):
    with pytest.raises(DeviceError, match=r"takes \(12, 16\) but frames of \(12, 18\)"):
        build(width=18)


def test_a_plugin_that_cannot_be_loaded_is_one_sentence(standin, tmp_path):
    with pytest.raises(DeviceError, match=r"no engine: there is no .*gone\.so; build it"):
        build(plugin=str(tmp_path / "gone.so"), plugin_sha256="0" * 64)


def test_what_a_builder_prints_is_no_event(standin):
    standin("noise")
    assert build().layers == 7


def test_a_builder_without_progress_still_builds(standin):
    standin("no monitor")
    assert build().notes == ("this builder reports no progress",)


def test_unfit_timings_are_no_error(standin):
    standin("other timings")
    made = build(timings=b"old")
    assert json.loads(made.engine)["known_timings"] == ""
    assert "every tactic is timed again" in made.notes[0]


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_the_build_ends_with_the_program(standin, tmp_path, monkeypatch, number):
    standin("slow")
    noted = tmp_path / "pid"
    monkeypatch.setenv("MGDN_STANDIN_PID", str(noted))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    script = (
        "from mgdn_edge.runtime.fusion.engines.build_process import run_build\n"
        "from mgdn_edge.runtime.fusion.engines.build_protocol import BuildRequest\n"
        "request = BuildRequest('builder_standin', 12, 16, 1, False, 3)\n"
        "run_build(request, b'model', b'', lambda event: None, '')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    wait_until(lambda: noted.exists() and noted.read_text())
    child = int(noted.read_text())
    assert is_alive(child)
    parent.send_signal(number)
    parent.wait(20)
    wait_until(lambda: not is_alive(child))
    if number == signal.SIGINT:
        assert list(tmp_path.glob("mgdn-build-*")) == []
