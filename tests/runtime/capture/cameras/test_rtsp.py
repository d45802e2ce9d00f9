"""Both ends of RTSP against a real server, which is restarted while they run."""

import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from support.fusing import fuse

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.clock_fit import ClockFit
from mgdn_edge.runtime.pairing.timed_options import TimedOptions
from mgdn_edge.runtime.stream.latency import percentiles
from mgdn_edge.runtime.stream.ledger import Ledger

pytestmark = pytest.mark.rtsp_server

SERVER = Path(__file__).parents[3] / "support" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"


class Server:
    def __init__(self, folder, *login):
        self.folder, self.login = folder, login
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process = None

    def start(self):
        words = [SYSTEM_PYTHON, str(SERVER), str(self.port), str(self.folder), *self.login]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def url(self, name):
        return f"rtsp://127.0.0.1:{self.port}/{name}"


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path)
    running.start()
    yield running
    running.stop()


def received(folder):
    """Frame counts of what /fused was sent, one for each life of the server."""
    counts = []
    for path in sorted(folder.glob("*.ts")):
        with av.open(str(path)) as container:
            counts.append(sum(1 for _ in container.decode(video=0)))
    return counts


def run_through_a_restart(server, tmp_path, monkeypatch, seconds):
    """Fuse both cameras to /fused; the server is away for a second in the middle."""
    rows = []
    add = Ledger.add
    monkeypatch.setattr(
        Ledger, "add", lambda self, stamps: (rows.append(stamps), add(self, stamps))
    )
    stop, summary = threading.Event(), []

    def run():
        summary.append(
            fuse(
                server.url("visible"), server.url("infrared"), server.url("fused"),
                network="average", stop=stop,
                timing=TimedOptions(ClockFit(), "nearest"),
            )
        )  # fmt: skip

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(seconds / 2)
    server.stop()
    before = len(rows)
    time.sleep(1)
    server.start()
    time.sleep(seconds / 2)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    return summary[0], rows, before


def check_latency_and_frames(summary, rows, before, server, seconds):
    assert summary.output == server.url("fused")
    assert summary.pairing.skew is not None
    assert before > 2 * seconds
    after = rows[before + 25 :]  # what the restart itself cost is not steady state
    assert len(after) > 2 * seconds  # of 25 a second, less the time to come back
    late = np.array([row.out_ns - row.capture_ns for row in after])
    third = len(late) // 3
    # Half a second of growth would be a queue filling up; machines are busy, queues are not.
    assert np.median(late[-third:]) < np.median(late[:third]) + 500e6
    return percentiles(late, 0)


def test_two_cameras_in_one_stream_out_and_a_restarted_server(server, tmp_path, monkeypatch):
    summary, rows, before = run_through_a_restart(server, tmp_path, monkeypatch, 10)
    check_latency_and_frames(summary, rows, before, server, 10)
    counts = received(tmp_path)
    assert len(counts) == 2 and min(counts) > 10
    assert set(summary.reconnects) == {"visible", "infrared", "output"}
    assert min(summary.reconnects.values()) >= 1
    frames = summary.frames
    assert frames.in_ == frames.out + frames.dropped and 0 <= frames.lost <= frames.dropped
    assert summary.pairing.skew.p95 < 60


@pytest.mark.parametrize("method", ["basic", "digest"])
def test_passwords_from_files_open_what_asks_for_one(tmp_path, method, run_mgdn, monkeypatch):
    password = 'o p@n/s:#?%41"ä'
    running = Server(tmp_path, method, "root", password)
    running.start()
    try:
        url = running.url("").replace("rtsp://", "rtsp://root@")
        file = tmp_path / "pw.txt"
        file.write_text(password)
        file.chmod(0o600)
        monkeypatch.setenv("MGDN_OUTPUT_PASSWORD", password)
        report = tmp_path / "r.html"
        words = ["fuse", f"{url}visible", f"{url}infrared", f"{url}fused", "--network", "average"]
        words += ["--pair", "nearest", "--frames", "12", "--report", report, "-y", "--json"]
        files = ["--visible-password-file", file, "--infrared-password-file", file]
        done = run_mgdn(*words, *files)
        assert (done.code, done.err) == (0, "")
        assert json.loads(done.out)["frames"]["out"] > 5
        refused = run_mgdn(*words, "--overwrite")
        assert refused.code == 2 and "401 Unauthorized" in refused.err
        shown = done.out + report.read_text() + refused.err
        assert "o p@n" not in shown and "o%20p" not in shown
    finally:
        running.stop()


@pytest.mark.slow
def test_a_minute_of_two_cameras(server, tmp_path, monkeypatch):
    summary, rows, before = run_through_a_restart(server, tmp_path, monkeypatch, 60)
    figures = check_latency_and_frames(summary, rows, before, server, 60)
    print(
        f"latency {figures}; pairs {summary.pairing}; frames {summary.frames}; {received(tmp_path)}"
    )
    assert min(received(tmp_path)) > 200


def test_recordings_go_out_at_their_own_pace_only():
    with pytest.raises(UserError, match="--pace source"):
        fuse(
            "synthetic://night?frames=2&size=32x24", "synthetic://night?frames=2&size=32x24",
            "rtsp://127.0.0.1:9/out", network="average",
        )  # fmt: skip


def test_nobody_to_send_to_is_an_error_at_once():
    scene = "synthetic://night?frames=2&size=32x24"
    with pytest.raises(UserError, match=r"cannot send to rtsp://127.0.0.1:9/out"):
        fuse(scene, scene, "rtsp://127.0.0.1:9/out", network="average", pace="source")
