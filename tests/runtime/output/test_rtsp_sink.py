"""Frames that no server takes are not counted as out, and connections made again are told."""

import json
from types import SimpleNamespace

import av
import msgspec
import numpy as np
import pytest
from support.fusing import fuse

from mgdn_edge.runtime.capture.cameras.backoff import Backoff
from mgdn_edge.runtime.output import rtsp
from mgdn_edge.runtime.output.rtsp import RtspSink
from mgdn_edge.runtime.picture.frame import ColourTags, SourceInfo, VisibleFrame

SCENE = "synthetic://night?frames=12&size=64x48&fps=100"


class Server:
    """Takes packets like an RTSP server, into a file; away for frames ``away``, by their count."""

    def __init__(self, folder, away=()):
        self.folder, self.away = folder, set(away)
        self.frame, self.taken, self.connections = -1, 0, 0

    def open(self, uri, mode, **options):
        if self.frame in self.away:
            raise OSError(111, "Connection refused")
        self.connections += 1
        return Connection(self, av.open(str(self.folder / f"{self.connections}.mkv"), "w"))


class Connection:
    def __init__(self, server, container):
        self.server, self.container = server, container
        self.add_stream, self.start_encoding = container.add_stream, container.start_encoding

    def mux(self, packets):
        if self.server.frame in self.server.away:
            raise OSError(32, "Broken pipe")
        self.container.mux(packets)
        self.server.taken += len(packets)

    def close(self):
        self.container.close()


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """``serve(away)`` -> Server; the sink looks for it again at every frame."""

    def start(away=()):
        server, encode = Server(tmp_path, away), RtspSink.encode

        def count(sink, picture, visible):
            server.frame += 1
            return encode(sink, picture, visible)

        monkeypatch.setattr(RtspSink, "encode", count)
        ffmpeg = SimpleNamespace(open=server.open, FFmpegError=av.FFmpegError)
        monkeypatch.setattr(rtsp, "av", ffmpeg)
        monkeypatch.setattr(Backoff, "next_seconds", lambda self: 0.0)
        return server

    return start


def send(sink, count):
    luma = np.full((48, 64), 90, np.uint8)
    for seq in range(count):
        visible = VisibleFrame(luma, None, (1, 1), ColourTags(), seq * 10_000_000, seq)
        picture = sink.compose(sink.copy_out(luma, visible), visible)
        sink.output(sink.encode(picture, visible))


@pytest.mark.parametrize("away", [[], [3], [2, 3, 4, 9], [*range(1, 12)]])
def test_every_frame_is_taken_or_lost(serve, away):
    server = serve(away)
    sink = RtspSink("rtsp://cam/fused", SourceInfo("scene", (48, 64), None, 100, None, live=True))
    send(sink, 12)
    sink.close()
    assert (sink.lost, server.taken) == (len(away), 12 - len(away))
    gaps = sum(1 for frame in away if frame + 1 not in away and frame + 1 < 12)
    assert sink.reconnects == gaps == server.connections - 1


def test_a_stream_tells_frames_nobody_took_and_connections_made_again(serve, tmp_path):
    server = serve([3, 4, 5])
    shown = fuse(
        SCENE, SCENE, "rtsp://cam/fused", network="average", pace="source",
        report=tmp_path / "r.html", trace=tmp_path / "t.json",
    )  # fmt: skip
    frames = shown.frames
    assert frames.in_ == frames.out + frames.dropped
    assert frames.lost == 3 and frames.dropped >= 3 and frames.out == server.taken
    assert shown.reconnects == {"output": 1}
    told = json.loads(msgspec.json.encode(shown))
    assert told["frames"]["lost"] == 3 and told["reconnects"] == {"output": 1}
    assert shown.end_to_end.n + shown.end_to_end.warmup == frames.out
    page = (tmp_path / "r.html").read_text()
    assert "3 lost without a server" in page
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert sum(event["name"] == "dropped" for event in events) == frames.dropped


def test_the_table_says_what_was_lost(serve, tmp_path, run_mgdn):
    serve([3, 4])
    words = ("fuse", SCENE, SCENE, "rtsp://cam/fused", "--network", "average", "--pace", "source")
    done = run_mgdn(*words)
    assert done.code == 0
    assert "2 lost without a server" in done.out and "connected again: output 1" in done.out


def test_a_file_has_neither(tmp_path):
    shown = fuse(SCENE, SCENE, tmp_path / "o.mp4", network="average")
    told = json.loads(msgspec.json.encode(shown))
    assert set(told["frames"]) == {"in", "out", "dropped"} and "reconnects" not in told
