import json
import subprocess
import sys
import time
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.capture.cameras.camera_uri import CameraOptions
from mgdn_edge.runtime.capture.cameras.gstreamer import csi_pipeline
from mgdn_edge.runtime.capture.cameras.list_cameras import fuse_command_for, list_cameras
from mgdn_edge.runtime.capture.cameras.v4l2 import (
    PREFERRED,
    LinuxpyCapture,
    V4l2Reader,
    choose_format,
)
from mgdn_edge.runtime.capture.clocks.arrival_clock import ArrivalClock
from mgdn_edge.runtime.capture.clocks.live_clock import now_ns
from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError

SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


class StandInCapture:
    """A camera of 16-bit 3x2 pictures, the second of which the driver cut short."""

    format, size, stride, fps = "Y16", (2, 3), 0, Fraction(30)

    def __init__(self, path, options, preferred):
        self.asked = (path, options, preferred)
        self.closed = False

    def buffers(self):
        start = time.monotonic()
        for number in range(4):
            data = np.full((2, 3), 7000 + number, "<u2").tobytes()
            yield SimpleNamespace(
                data=data[: 5 if number == 1 else 12], timestamp=start + number / 30
            )

    def close(self):
        self.closed = True


def test_frames_of_a_stand_in_camera_carry_the_kernels_stamps():
    reader = V4l2Reader("v4l2:///dev/video7?fps=30&format=y16", "infrared", StandInCapture)
    path, options, preferred = reader._capture.asked
    assert path == Path("/dev/video7") and preferred == PREFERRED["infrared"]
    assert options == CameraOptions(fps=Fraction(30), format="Y16")
    before = now_ns()
    frames = list(reader.frames())
    assert [int(frame.y[0, 0]) for frame in frames] == [7000, 7002, 7003]
    assert [frame.seq for frame in frames] == [0, 1, 2]
    assert 0 <= frames[0].pts_ns - before < 1e9
    assert frames[1].pts_ns - frames[0].pts_ns == pytest.approx(2e9 / 30, abs=2)
    assert frames[0].counts and reader.info.live
    reader.close()
    assert reader._capture.closed


def test_linuxpys_camera_is_asked_for_what_it_offers(monkeypatch):
    pytest.importorskip("linuxpy", reason="linuxpy is not installed: pip install 'mgdn-edge[v4l2]'")
    import linuxpy.video.device as linuxpy

    log = []

    class Device:
        info = SimpleNamespace(
            formats=[
                SimpleNamespace(pixel_format=linuxpy.PixelFormat[name])
                for name in ("MJPEG", "YUYV", "H264")
            ]
        )

        def __init__(self, path):
            log.append(path)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            log.append("closed")

    class VideoCapture:
        def __init__(self, device, size):
            self.now = SimpleNamespace(height=480, width=640, bytes_per_line=1280)

        def get_format(self):
            return self.now

        def set_format(self, width, height, pixel_format):
            log.append((width, height, pixel_format.name))

        def get_fps(self):
            return 30.0

    monkeypatch.setattr(linuxpy, "Device", Device)
    monkeypatch.setattr(linuxpy, "VideoCapture", VideoCapture)
    capture = LinuxpyCapture(Path("/dev/video0"), CameraOptions(), PREFERRED["visible"])
    assert (capture.format, capture.size, capture.stride) == ("YUYV", (480, 640), 1280)
    assert log == [Path("/dev/video0"), (640, 480, "YUYV")]
    with pytest.raises(UserError, match=r"offers MJPG, YUYV, wanted Y16.*\?format="):
        LinuxpyCapture(Path("/dev/video0"), CameraOptions(format="Y16"), PREFERRED["visible"])
    assert log[-1] == "closed"


def test_choice_of_format():
    path = Path("/dev/video0")
    assert choose_format(path, None, {"MJPG", "YUYV"}, PREFERRED["visible"]) == "YUYV"
    assert choose_format(path, None, {"GREY", "Y16"}, PREFERRED["infrared"]) == "Y16"
    assert choose_format(path, "MJPEG", {"MJPG", "YUYV"}, PREFERRED["visible"]) == "MJPG"
    with pytest.raises(UserError, match="no format that mgdn reads"):
        choose_format(path, None, set(), PREFERRED["visible"])


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("v4l2://dev/video0", "three slashes"),
        ("v4l2:///dev/video0?speed=3", "unknown option 'speed'"),
        ("v4l2:///dev/video0?fps=0", "is not a frame rate"),
        ("v4l2:///dev/video0?size=0x4", "is not WIDTHxHEIGHT"),
        ("csi://left", "give csi://0"),
        ("csi://0?format=Y16", "unknown option"),
        ("rtsp://127.0.0.1:9/none", "cannot read rtsp://127.0.0.1:9/none"),
        ("gopher://camera", "v4l2:///dev/video0"),
    ],
)
def test_wrong_cameras_are_named(uri, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        open_visible(uri)


def test_messages_keep_the_password_to_themselves():
    with pytest.raises(UserError, match=r"rtsp://\.\.\.@127\.0\.0\.1:9/x") as refused:
        open_visible("rtsp://admin:secret@127.0.0.1:9/x")
    assert "secret" not in str(refused.value)


def test_a_missing_device_says_what_to_type():
    with pytest.raises(UserError, match=r"mgdn cameras|pip install"):
        open_visible("v4l2:///dev/video987")


def test_a_jetsons_camera_is_a_pipeline():
    text = csi_pipeline("csi://1?size=640x480&fps=60")
    assert "sensor-id=1 " in text and "width=640,height=480,framerate=60/1" in text


@pytest.mark.skipif(find_spec("gi") is not None, reason="this Python has PyGObject")
def test_without_pygobject_the_packages_are_named():
    with pytest.raises(UserError, match="apt install python3-gi"):
        open_visible("gst:videotestsrc")


GST_SCRIPT = """
import sys
sys.path.append({packages!r})
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.capture.sources import open_visible, InfraredOptions, open_infrared
src = "gst:videotestsrc num-buffers=200 is-live=true ! "
src += "video/x-raw,width=50,height=30,framerate=50/1"
with open_visible(src + ",format=NV12") as source:
    frames = [frame for frame, _ in zip(source.frames(), range(5))]
assert source.info.size == (30, 50) and source.info.rate == 50, source.info
assert frames[0].chroma[0].shape == (15, 25) and len(frames) == 5
gaps = [b.pts_ns - a.pts_ns for a, b in zip(frames, frames[1:])]
assert all(0 < gap < 1e9 for gap in gaps), gaps
with open_infrared(src + ",format=GRAY16_LE", InfraredOptions(agc="plateau")) as source:
    assert next(source.frames()).counts.dtype == "uint16"
for wrong in ("gst:nonsense", "gst:filesrc location=/none ! decodebin"):
    try:
        open_visible(wrong)
    except UserError as error:
        print(error)
"""


@pytest.mark.gstreamer
def test_any_gstreamer_pipeline_is_a_camera(tmp_path):
    script = GST_SCRIPT.format(packages=SYSTEM_PACKAGES)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "is not a pipeline" in done.stdout and "gave no picture" in done.stdout


def test_a_looped_folder_is_a_camera(tmp_path):
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((4, 6), 10 * number, np.uint8))
    with open_infrared(f"{tmp_path}?loop&fps=100") as source:
        assert source.info.live and source.info.frames is None and source.info.rate == 100
        frames = [frame for frame, _ in zip(source.frames(), range(7), strict=False)]
    assert [int(frame.plane[0, 0]) for frame in frames] == [0, 10, 20, 0, 10, 20, 0]
    assert [frame.pts_ns - frames[0].pts_ns for frame in frames] == [k * 10**7 for k in range(7)]
    with open_infrared(f"{tmp_path}?fps=100") as source:
        assert len(list(source.frames())) == 3
    with pytest.raises(UserError, match="give loop alone"):
        open_infrared(f"{tmp_path}?loop=never")


def test_a_file_may_be_named_like_an_option(tmp_path):
    path = tmp_path / "a.png?loop"
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((2, 2), np.uint8))
    (tmp_path / "a.png").rename(path)
    with open_infrared(str(path)) as source:
        assert not source.info.live


def test_a_looped_scene_is_two_cameras_with_one_clock():
    uri = "synthetic://night?frames=2&size=32x24&loop"
    with open_visible(uri) as visible, open_infrared(uri, InfraredOptions()) as infrared:
        assert visible.info.live and infrared.info.live
        assert next(visible.frames()).y.shape == (24, 32)


def test_arrival_stamps_lose_their_jitter():
    rng, clock = np.random.default_rng(0), ArrivalClock()
    taken = np.arange(200) * 40_000_000
    delays = 5_000_000 + rng.exponential(30e6, 200).astype(int)
    placed = [
        clock.place(t + 10**15, t + d) for t, d in zip(taken.tolist(), delays.tolist(), strict=True)
    ]
    late = np.array(placed[20:]) - taken[20:]
    assert np.ptp(late) < 10_000_000 < np.ptp(delays)
    again = clock.place(5, 9 * 10**9)  # the camera's clock starts anew
    assert again == 9 * 10**9


def test_cameras_are_listed_with_the_command_that_uses_them(tmp_path, run_mgdn):
    for number, (name, index) in enumerate(
        (("Webcam C920", 0), ("Webcam C920", 1), ("PureThermal", 0))
    ):
        node = tmp_path / f"video{number}"
        node.mkdir()
        (node / "name").write_text(f"{name}\n")
        (node / "index").write_text(f"{index}\n")
    found = list_cameras(tmp_path, tmp_path / "none")
    assert [(camera.uri, camera.kind) for camera in found] == [
        ("v4l2:///dev/video0", "visible"),
        ("v4l2:///dev/video2", "thermal"),
    ]
    assert all(camera.formats or camera.problem for camera in found)  # never silently unknown
    command = "mgdn fuse v4l2:///dev/video0 v4l2:///dev/video2 fused.mp4 --resize"
    assert fuse_command_for(found) == command
    assert fuse_command_for([]) == "mgdn fuse VISIBLE INFRARED fused.mp4 --resize"
    (tmp_path / "jetson").write_text("")
    assert [c.uri for c in list_cameras(tmp_path, tmp_path / "jetson")][-1] == "csi://1"
    assert "mgdn fuse" in run_mgdn("cameras").out
    assert isinstance(json.loads(run_mgdn("cameras", "--json").out), list)
