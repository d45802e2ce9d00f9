"""A planted password must not come out of any door: streams, files, exceptions, descriptions."""

import html
import json
import sys
import threading
import traceback
from urllib.parse import quote

import av
import numpy as np
import pytest
from support.fusing import fuse

from mgdn_edge.cli import main
from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.environment import command_text
from mgdn_edge.runtime.output.open_sink import open_sink
from mgdn_edge.runtime.pairing.clock_fit import ClockFit
from mgdn_edge.runtime.picture.frame import SourceInfo
from mgdn_edge.runtime.secrets import redaction
from mgdn_edge.runtime.stream import demo

CORE = "tr0ub4dor"  # what all the passwords share: not even a piece of one may show
PASSWORDS = [CORE, f"p@{CORE}", f"a/{CORE}", f"a b#{CORE}?c", f"\"q'{CORE}\\", f"p%2F{CORE}"]
NOBODY = "127.0.0.1:9"
SCENE = "synthetic://night?frames=2&size=32x24"


def addresses(password):
    """Ways to give a password away in a source that does not open here."""
    login = f"root:{password}@{NOBODY}"
    return [
        f"rtsp://{login}/ch1",
        f"RTSP:/{login}/ch1",
        f"rtsp://{login}/ch1?loop",
        f"rtsps://{login}/ch1",
        f"rtmp://{login}/ch1",
        f"http://{login}/ch1.mjpg",
        f"file://{login}/vi.mp4",
        f"v4l2://{login}/dev/video0",
        f"csi://{login}",
        f"synthetic://{login}",
        f"http://root:{password}[{CORE}@{NOBODY}/ch1",
        f"v4l2://root:{password}℀@{NOBODY}/dev/video0",
        f"rtsp://{NOBODY}/user=root&password={password}&channel=1",
        f"rtsp://{NOBODY}/ch1?token={password}",
        f"gst:nothing location=rtsp://{login} ! decodebin",
        f'gst:nothing user-id=root user-pw="{password}" ! decodebin',
    ]


def leaks(text, password):
    """What of ``password`` is in ``text``, in any spelling."""
    spellings = {CORE, password, quote(password), quote(password, safe=""), html.escape(password)}
    spellings |= {json.dumps(password)[1:-1], repr(password)[1:-1]}
    return [spelling for spelling in spellings if spelling in text]


def everything_said(error):
    """The texts of an exception, of those it came from, and as a traceback prints them."""
    said = traceback.format_exception(type(error), error, error.__traceback__)
    while error is not None:
        said += [str(error), repr(error), repr(error.args)]
        error = error.__cause__ or error.__context__
    return "".join(line for line in said if not line.lstrip().startswith("File "))


@pytest.fixture(autouse=True)
def knows_nothing(monkeypatch):
    monkeypatch.setattr(redaction, "_known_logins", {})
    monkeypatch.setattr(redaction, "_known_secrets", {})
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


@pytest.fixture
def stand_in_network(monkeypatch, tmp_path):
    """rtsp:// reads a drawn clip and sends into a file; gives what was asked for."""
    clip, opened, open_file = tmp_path / "vi.mp4", [], av.open
    pictures = (np.full((24, 32, 3), 20 * number, np.uint8) for number in range(8))
    demo.write_clip(clip, pictures)

    def open_stream(address, mode="r", **words):
        if not str(address).startswith("rtsp:"):
            return open_file(address, mode, **words)
        opened.append(address)
        if mode == "w":
            return open_file(str(tmp_path / "sent.mkv"), "w", format="matroska")
        return open_file(str(clip))

    monkeypatch.setattr(av, "open", open_stream)
    return opened


@pytest.mark.parametrize("password", PASSWORDS)
def test_exceptions_of_sources(password):
    for address in addresses(password):
        for open_source in (open_visible, open_infrared):
            with pytest.raises(UserError) as refused:
                open_source(address)
            assert not leaks(everything_said(refused.value), password), address


@pytest.mark.parametrize("password", PASSWORDS)
def test_exceptions_of_sinks(password):
    address = f"rtsp://root:{password}@{NOBODY}/out"
    for pace in ("none", "source"):
        with pytest.raises(UserError) as refused:
            fuse(SCENE, SCENE, address, network="average", pace=pace)
        assert not leaks(everything_said(refused.value), password)
    sink = open_sink(address, SourceInfo("x", (24, 32), 2, None, None, live=True), 0, [], live=True)
    assert not leaks(f"{sink.uri} {sink.path}", password)


@pytest.mark.parametrize("password", PASSWORDS)
def test_what_a_command_prints_when_it_fails(run_mgdn, tmp_path, monkeypatch, password):
    monkeypatch.chdir(tmp_path)
    for address in addresses(password)[::3]:
        for words in (
            ("fuse", address, SCENE, tmp_path / "o.mp4"),
            ("fuse", SCENE, SCENE, address, "--pace", "source"),
            ("sync", SCENE, address),
            ("align", address, SCENE, tmp_path / "rig.toml"),
            ("fuse", SCENE, SCENE, tmp_path / "o.mp4", "--frames", address),
            ("fuse", SCENE, SCENE, tmp_path / "o.mp4", "--visible-password", password),
            ("temperature", address, "--at", "1,1"),
            ("bench", "--network", address),
            ("evaluate", address),
        ):
            done = run_mgdn(*words)
            assert done.code == 2 and done.err.startswith("mgdn: error: "), words
            assert not leaks(done.out + done.err, password), words


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_run_from_camera_to_server(run_mgdn, stand_in_network, tmp_path, password):
    camera, server = f"rtsp://root:{password}@cam/ch1", f"rtsp://root:{password}@srv/out"
    report, trace = tmp_path / "r.html", tmp_path / "t.json"
    words = ("fuse", camera, f"{tmp_path / 'vi.mp4'}?loop", server, "--network", "average")
    words += ("--pair", "nearest", "--frames", "3", "--infrared-luma", "--report", report)
    done = run_mgdn(*words, "--trace", trace, "--json")
    assert done.code == 0, done.err
    assert {camera, server} <= set(stand_in_network)
    assert json.loads(done.out)["output"] == "rtsp://...@srv/out"
    page = report.read_text()
    assert "rtsp://...@cam/ch1" in html.unescape(page)
    told = [done.out, done.err, page, html.unescape(page), trace.read_text()]
    assert not leaks("".join(told), password)
    assert not leaks(run_mgdn(*words).out, password)


def test_a_password_file_reaches_camera_and_server_and_nobody_else(
    run_mgdn, stand_in_network, tmp_path, monkeypatch
):
    password, encoded = f"a/b@ {CORE}", f"a%2Fb%40%20{CORE}"
    file = tmp_path / "pw.txt"
    file.write_text(f"{password}\n")
    monkeypatch.setenv("MGDN_OUTPUT_PASSWORD", password)
    names = []
    real_start = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread, "start", lambda self: (names.append(self.name), real_start(self))
    )
    report = tmp_path / "r.html"
    done = run_mgdn(
        "fuse", "rtsp://root@cam/ch1", f"{tmp_path / 'vi.mp4'}?loop", "rtsp://root@srv/out",
        "--network", "average", "--pair", "nearest", "--frames", "2", "--infrared-luma",
        "--report", report, "--json", "--visible-password-file", file,
    )  # fmt: skip
    assert done.code == 0
    assert done.err == f"others can read the password in {file}; run: chmod 600 {file}\n"
    assert f"rtsp://root:{encoded}@cam/ch1" in stand_in_network
    assert f"rtsp://root:{encoded}@srv/out" in stand_in_network
    assert names and not leaks(done.out + report.read_text() + " ".join(names), password)
    assert f"--visible-password-file {file}" in report.read_text()


@pytest.mark.parametrize("command", ["sync", "align"])
def test_sync_and_align_take_password_files(run_mgdn, stand_in_network, tmp_path, command):
    file = tmp_path / "pw.txt"
    file.write_text(CORE)
    file.chmod(0o600)
    last = [tmp_path / "rig.toml"] if command == "align" else ["--seconds", "1"]
    words = ["rtsp://a@cam/1", "rtsp://b@cam/2", *last]
    words += ["--visible-password-file", file, "--infrared-password-file", file]
    done = run_mgdn(command, *words)
    assert done.code == 2 and not leaks(done.out + done.err, CORE)  # nothing moves, no length
    assert stand_in_network[:2] == [f"rtsp://a:{CORE}@cam/1", f"rtsp://b:{CORE}@cam/2"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_the_command_that_sync_suggests(run_mgdn, monkeypatch, password):
    from mgdn_edge.runtime.sync import sync_sources

    monkeypatch.setattr(sync_sources, "sync_sources", lambda *_, **__: ClockFit(error_ms=1.0))
    done = run_mgdn("sync", f"rtsp://root:{password}@cam/ch1", SCENE)
    assert done.code == 0 and "mgdn fuse rtsp://...@cam/ch1" in done.out
    assert not leaks(done.out, password)


@pytest.mark.parametrize("password", PASSWORDS)
def test_the_command_on_a_page(password):
    words = ["fuse", f"rtsp://root:{password}@cam/ch1", "ir.mp4", "--visible-password", password]
    words += [f"gst:x user-pw='{password}' ! y", f"--infrared-password={password}", "o p.mp4"]
    text = command_text(words)
    assert not leaks(text, password)
    assert text.startswith("mgdn fuse rtsp://...@cam/ch1 ir.mp4 --visible-password ")
    assert text.endswith(" 'o p.mp4'")
    assert command_text(["fuse", "a b", "x@y.mp4"]) == "mgdn fuse 'a b' x@y.mp4"


@pytest.mark.parametrize("password", PASSWORDS)
def test_an_error_nobody_foresaw(monkeypatch, capfd, password):
    camera = f"rtsp://root:{password}@cam/ch1"

    def fail(request, **_):
        visible = request.visible
        raise RuntimeError(f"cannot parse {visible!r}: host {visible[12:]}")

    monkeypatch.setattr("mgdn_edge.runtime.stream.fuse_files.fuse_files", fail)
    monkeypatch.setattr(sys, "argv", ["mgdn", "fuse", camera, "ir.mp4", "o.mp4"])
    with pytest.raises(RuntimeError) as failed:
        main()
    sys.excepthook(failed.type, failed.value, failed.tb)
    told = capfd.readouterr().err
    assert "RuntimeError: cannot parse" in told and not leaks(told, password)
