"""A name is a name: no address, no list of other files."""

import socket
import threading

import av
import pytest

from mgdn_edge.runtime.capture.files.local_media import CONTAINERS
from mgdn_edge.runtime.capture.sources import open_visible
from mgdn_edge.runtime.errors import UserError

PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {other}\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "list.mpd": '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation id="1">'
    "<BaseURL>{other}</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "2026-01-02T03:04:05.mkv", "http:x.mp4", "cam 1%20.mp4"]
)
def test_a_colon_is_part_of_a_name(write_clip, mgdn_here, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "v.mkv", frames=3)
    (tmp_path / "v.mkv").rename(tmp_path / name)
    out = f"cam1:{name}"
    done = mgdn_here("fuse", name, name, out, "--network", "average", "--infrared-luma")
    assert done.code == 0, done.err
    with av.open(f"file:{tmp_path / out}") as container:
        assert sum(1 for _ in container.decode(video=0)) == 3


@pytest.mark.parametrize("suffix", ["", ".mp4"])
@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_list_of_files_is_refused(write_clip, tmp_path, name, suffix):
    other = tmp_path / "other.mp4"
    write_clip(other, frames=3)
    path = tmp_path / (name + suffix)
    path.write_text(PLAYLISTS[name].format(other=other))
    with pytest.raises(UserError, match="is not a readable video"), open_visible(str(path)):
        pass


def test_a_name_like_an_address_reaches_nobody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        called = []

        def listen():
            with pytest.raises(TimeoutError):
                called.append(server.accept())

        waiting = threading.Thread(target=listen)
        waiting.start()
        name = f"http:/127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "http:").mkdir()
        (tmp_path / name).write_bytes(b"no video")
        with pytest.raises(UserError), open_visible(name):
            pass
        waiting.join()
        assert called == []


def test_every_container_is_one_that_ffmpeg_knows():
    known = set(av.formats_available)
    missing = [name for name in CONTAINERS if not known & set(name.split(","))]
    assert len(missing) <= 2, missing  # builds differ in a few


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize("name", ["o\udcff.mp4", "\N{LATIN SMALL LETTER O WITH STROKE}.mp4"])
def test_any_name_is_told_without_a_traceback(
    write_clip, mgdn_here, monkeypatch, tmp_path, name, words
):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "v.mkv", frames=2)
    done = mgdn_here("fuse", "v.mkv", "v.mkv", name, "--network=average", "--infrared-luma", *words)
    assert done.code == 0, done.err
    assert (tmp_path / name).exists() and "\udcff" not in done.out
