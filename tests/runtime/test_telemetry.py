"""A fused frame leaves nothing below HOME, opens no socket and prints nothing of others'.

Run in a process of its own, with an empty HOME and none of this process's environment.
"""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import onnxruntime
import pytest

from mgdn_edge.runtime.doctor import examine_machine

VARIABLE = examine_machine.TELEMETRY
WHERE_THINGS_ARE = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
UPLOAD_SECONDS = 12  # ONNX Runtime 1.32 looks its upload host up after nine

# Python's own sockets by the audit hook, those of libraries among the open files, every 5 ms.
WATCH = """
import atexit, json, os, sys, threading, time
sockets = set()
def note(event, values):
    if event.startswith("socket."):
        sockets.add(event)
sys.addaudithook(note)
def look():
    while True:
        for name in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                continue
            if target.startswith("socket:"):
                sockets.add(target)
        time.sleep(0.005)
threading.Thread(target=look, daemon=True).start()
def tell():
    with open("watched.json", "w") as file:
        json.dump({"sockets": sorted(sockets), "telemetry": os.environ.get("VARIABLE")}, file)
atexit.register(tell)
""".replace("VARIABLE", VARIABLE)

FUSE_FRAME = """
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.fusion.open_session import open_session
with open_session("mgdn-edge") as session:
    assert session.fuse(*draw_scene(48, 64)).shape == (48, 64)
"""
FUSE_IMAGES = """
sys.argv = ["mgdn", "fuse", "vi.png", "ir.png", "fused.png"]
from mgdn_edge.cli import main
main()
"""
TOUCH_EVERYTHING = """
import socket
socket.create_server(("127.0.0.1", 0)).close()
with open(os.path.expanduser("~/left"), "w"): pass
print("from somebody else", file=sys.stderr)
"""
WAIT = f"\ntime.sleep({UPLOAD_SECONDS})\n"


def traces_system_calls():
    strace = shutil.which("strace")
    command = [strace or "strace", "-f", "-o", os.devnull, "true"]
    return strace is not None and not subprocess.run(command, check=False).returncode


class Watched:
    """What one process left: files below HOME, stderr, sockets, the variable's value."""

    def __init__(self, folder, code, *, trace=False, **variables):
        home = folder / "home"
        home.mkdir()
        kept = {name: os.environ[name] for name in WHERE_THINGS_ARE if name in os.environ}
        calls = folder / "calls"
        words = ["strace", "-f", "-e", "trace=network", "-o", str(calls)] if trace else []
        done = subprocess.run(
            [*words, sys.executable, "-c", WATCH + code],
            cwd=folder, env={**kept, "HOME": str(home), **variables},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        watched = json.loads((folder / "watched.json").read_text())
        self.files = sorted(str(path.relative_to(home)) for path in home.rglob("*"))
        self.stderr, self.telemetry = done.stderr, watched["telemetry"]
        self.sockets = watched["sockets"]
        if trace:
            lines = calls.read_text().splitlines()
            self.sockets += [line for line in lines if " socket(" in line]

    @property
    def nothing(self):
        return not (self.files or self.sockets or self.stderr)


@pytest.fixture
def images(tmp_path):
    for name in ("vi", "ir"):
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((24, 32), 90, np.uint8))
    return tmp_path


@pytest.mark.parametrize("code", [FUSE_FRAME, FUSE_IMAGES], ids=["session", "command"])
def test_fusing_leaves_nothing_behind(images, code):
    watched = Watched(images, code)
    assert watched.telemetry == "1"
    assert watched.nothing, vars(watched)


@pytest.mark.slow
def test_nothing_is_looked_up_while_it_runs(images):
    watched = Watched(images, FUSE_FRAME + WAIT, trace=traces_system_calls())
    assert watched.nothing, vars(watched)


def test_the_watcher_sees_files_sockets_and_words(tmp_path):
    watched = Watched(tmp_path, TOUCH_EVERYTHING)
    assert watched.files == ["left"] and watched.stderr == "from somebody else\n"
    assert "socket.bind" in watched.sockets


@pytest.mark.parametrize("value", ["0", ""])
def test_what_the_user_chose_stands(images, value):
    watched = Watched(images, FUSE_FRAME, **{VARIABLE: value})
    assert watched.telemetry == value
    if onnxruntime.__version__.startswith("1.32."):
        assert any("deviceid" in name for name in watched.files)


@pytest.mark.parametrize("value", ["1", "true", " Yes", "on"])
def test_doctor_says_it_is_off(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    (finding,) = examine_machine._telemetry()
    assert finding.state == "ok"
    assert finding.found == f"ONNX Runtime's telemetry off ({VARIABLE}={value})"


@pytest.mark.parametrize("value", ["0", "", "false", "2"])
def test_doctor_says_it_is_on_and_why(monkeypatch, value, run_mgdn):
    monkeypatch.setenv(VARIABLE, value)
    said = f"telemetry on, because you set {VARIABLE}={value}"
    assert said in run_mgdn("doctor").out
