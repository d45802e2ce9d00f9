"""Where a camera's password comes from, and how it gets into the camera's address."""

import subprocess
import sys

import pytest

from mgdn_edge.runtime import redaction
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.redaction import redact
from mgdn_edge.runtime.sources.camera_password import with_password

SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"
CAMERA = "rtsp://root@cam:554/ch1"
OPTION, VARIABLE = "--visible-password-file", "MGDN_VISIBLE_PASSWORD"
# Passwords that GStreamer's parser, a shell or an address would take apart.
AWKWARD = [
    "a b",
    'a"b',
    '"ab"',
    '"',
    "a\\b",
    "\\",
    "'x'",
    "! fakesink",
    "ä€",
    "a=b,c;d",
    "%41",
    " x ",
]


@pytest.fixture(autouse=True)
def knows_nothing(monkeypatch):
    monkeypatch.setattr(redaction, "_known_logins", {})
    monkeypatch.setattr(redaction, "_known_secrets", {})
    for role in ("VISIBLE", "INFRARED", "OUTPUT"):
        monkeypatch.delenv(f"MGDN_{role}_PASSWORD", raising=False)


@pytest.fixture
def write(tmp_path):
    def write_password(data, mode=0o600):
        path = tmp_path / "password"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        path.chmod(mode)
        return path

    return write_password


def refusal(address, file=None, role="visible"):
    with pytest.raises(UserError) as refused:
        with_password(address, role, file)
    return str(refused.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_password_of_a_file_is_percent_encoded(write, end):
    file = write(f"op@n/ s:#?%41ä{end}")
    address = with_password(CAMERA, "visible", file)
    assert address == "rtsp://root:op%40n%2F%20s%3A%23%3F%2541%C3%A4@cam:554/ch1"
    assert redact("op@n/ s:#?%41ä") == "..."


@pytest.mark.parametrize(
    ("address", "full"),
    [
        ("rtsp://root:@cam/x?y=a@b", "rtsp://root:pw12@cam/x?y=a@b"),
        ("rtsps://ro%40ot@[::1]:5/x", "rtsps://ro%40ot:pw12@[::1]:5/x"),
        ("rtsp:/root@cam", "rtsp:/root:pw12@cam"),
        ("RTSP://root@cam/a:b/@c", "RTSP://root:pw12@cam/a:b/@c"),
        ("http://root@cam/x", "http://root:pw12@cam/x"),
    ],
)
def test_it_goes_after_the_user(write, address, full):
    assert with_password(address, "visible", write("pw12")) == full


@pytest.mark.parametrize("role", ["visible", "infrared", "output"])
def test_the_environment_serves_each_role(monkeypatch, role):
    monkeypatch.setenv(f"MGDN_{role.upper()}_PASSWORD", "pw12")
    assert with_password(CAMERA, role, None) == "rtsp://root:pw12@cam:554/ch1"
    other = "infrared" if role == "visible" else "visible"
    assert with_password(CAMERA, other, None) == CAMERA


def test_a_file_goes_before_the_environment(monkeypatch, write):
    monkeypatch.setenv(VARIABLE, "other")
    assert "root:pw12@" in with_password(CAMERA, "visible", write("pw12"))


@pytest.mark.parametrize(
    "address",
    [
        "vi.mp4",
        "file:///a/root@x.mp4",
        "synthetic://night",
        "v4l2:///dev/video0",
        "csi://0",
        "gst:v4l2src",
    ],
)
def test_local_sources_take_none(monkeypatch, write, address):
    monkeypatch.setenv(VARIABLE, "pw12")
    assert with_password(address, "visible", None) == address
    assert refusal(address, write("pw12")).endswith(f"takes no password; leave out {OPTION}")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("rtsp://cam:554/ch1", f"of {OPTION}; give rtsp://USER@cam:554/ch1"),
        ("rtsp://@cam/ch1", "give rtsp://USER@cam/ch1"),
        ("rtsp://:@cam/a@b", "give rtsp://USER@cam/a@b"),
        ("rtsp://root:typed@cam", f"rtsp://...@cam holds a password, and {OPTION} gives another"),
        ("rtsp://root:a/typed@cam", "rtsp://...@cam holds a password"),
        ("rtsp://cam/x?password=typed", "holds a password"),
        ("gst:rtspsrc user-id=root user-pw=typed ! d", "holds a password"),
        ("gst:rtspsrc location=rtsp://cam ! d", f"no user for the password of {OPTION}; give user"),
        ("gst:a user-id=b ! c user-id=d", "give user-id=USER to one source of the pipeline"),
    ],
)
def test_addresses_that_cannot_take_it_are_refused(write, address, said):
    told = refusal(address, write("pw12"))
    assert said in told and "typed" not in told and "pw12" not in told


def test_the_environment_is_named_where_it_is_what_was_given(monkeypatch):
    monkeypatch.setenv(VARIABLE, "pw12")
    assert f"the password of {VARIABLE}" in refusal("rtsp://cam/x")
    assert f"{VARIABLE} gives another" in refusal("rtsp://root:typed@cam/x")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("pw12\nmore", "holds more than a password"),
        ("pw\0x", "holds more than a password"),
        ("p" * 1100, "holds more than a password"),
        (b"p\xffw", "is not text"),
    ],
)
def test_files_that_hold_no_password_are_refused(write, data, said):
    told = refusal(CAMERA, write(data))
    assert f"{OPTION} " in told and said in told and "pw12" not in told


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    assert "No such file" in refusal(CAMERA, tmp_path / "none")
    assert "Is a directory" in refusal(CAMERA, tmp_path)


@pytest.mark.parametrize(("mode", "told"), [(0o600, 0), (0o640, 1), (0o604, 1)])
def test_a_file_that_others_can_read_is_told(write, mode, told):
    said = []
    with_password(CAMERA, "visible", write("pw12", mode), said.append)
    assert len(said) == told and all("chmod 600" in notice for notice in said)


def test_a_pipeline_gets_it_as_a_property(write):
    file = write('a"b')
    asked = "gst:rtspsrc location=rtsp://cam/x user-id=root latency=0 ! decodebin"
    given = 'gst:rtspsrc location=rtsp://cam/x user-id=root user-pw="a\\"b" latency=0 ! decodebin'
    assert with_password(asked, "visible", file) == given
    assert with_password('gst:x user-id="a b" ! y', "visible", file).count('"a b" user-pw=') == 1
    asked = "gst:rtspsrc location=rtsp://root@cam/x ! decodebin"
    assert "rtsp://root:a%22b@cam/x" in with_password(asked, "visible", file)


GST_SCRIPT = """
import sys
sys.path.append({packages!r})
from pathlib import Path
from mgdn_edge.runtime.sources.camera_password import with_password
from mgdn_edge.runtime.sources.gstreamer import load_gstreamer
gst, _ = load_gstreamer()
# Any element with two strings will do: what is tried is how the parser reads them back.
asked = "gst:filesrc name=s user-id=root"
for password in {passwords!r}:
    Path("password").write_text(password)
    pipeline = with_password(asked, "visible", Path("password")).replace("user-id=root", "")
    pipeline = pipeline.replace("user-pw=", "location=").partition(":")[2]
    read = gst.parse_launch(pipeline + " ! fakesink").get_by_name("s").get_property("location")
    assert read == password, (password, read)
"""


@pytest.mark.gstreamer
def test_gstreamer_reads_any_password_back(tmp_path):
    script = GST_SCRIPT.format(packages=SYSTEM_PACKAGES, passwords=AWKWARD)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
