"""Small clips, folders of images and a runner of the command line, made where they are used."""

import json
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from mgdn_edge.cli import main
from mgdn_edge.runtime.backends.baselines import BaselineSession

RATE = Fraction(25)


def draw_planes(index, height, width, pix_fmt):
    """Frame ``index`` as the planes of ``pix_fmt``: a moving ramp in luma, slow chroma."""
    shift = {"10": 2, "12": 4}.get("".join(c for c in pix_fmt[-4:-2] if c.isdigit()), 0)
    kind = np.uint16 if shift else np.uint8
    row, column = np.mgrid[:height, :width]
    y = (16 + (3 * column + 5 * row + 7 * index) % 220).astype(kind) << shift
    if pix_fmt.startswith("gray"):
        return [y]
    sx, sy = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[
        pix_fmt.removeprefix("yuvj")[-4:-1] if pix_fmt.startswith("yuvj") else pix_fmt[3:6]
    ]
    ch, cw = -(-height // sy), -(-width // sx)
    row, column = np.mgrid[:ch, :cw]
    u = (60 + (2 * column + index) % 130).astype(kind) << shift
    v = (200 - (2 * row + index) % 130).astype(kind) << shift
    return [y, u, v]


def write_planes(frame, planes):
    for plane, values in zip(frame.planes, planes, strict=True):
        lines = np.frombuffer(plane, values.dtype).reshape(
            -1, plane.line_size // values.dtype.itemsize
        )
        lines[: values.shape[0], : values.shape[1]] = values


def make_clip(
    path,
    *,
    frames=6,
    size=(48, 64),
    codec="ffv1",
    pix_fmt="yuv420p",
    time_base=1 / RATE,
    ticks=None,
    tags=None,
    planes=draw_planes,
    neutral=False,
):
    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        if codec == "libx264":
            stream.codec_context.options = {"qp": "0"}
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for index in range(frames):
            picture = av.VideoFrame(width, height, pix_fmt)
            drawn = planes(index, height, width, pix_fmt)
            if neutral:
                drawn[1:] = [np.full_like(chroma, 128) for chroma in drawn[1:]]
            write_planes(picture, drawn)
            picture.pts = index if ticks is None else ticks[index]
            picture.time_base = time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def read_clip(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.time_base, list(container.decode(stream))


@pytest.fixture(scope="session")
def write_clip():
    """``write_clip(path, frames=, size=, codec=, pix_fmt=, time_base=, ticks=, tags=)``."""
    return make_clip


@pytest.fixture(scope="session")
def decode_clip():
    """``decode_clip(path)`` -> (time base, frames), by PyAV alone."""
    return read_clip


@pytest.fixture
def clip_pair(tmp_path):
    """A colour clip and its grey partner: 6 frames of 64x48."""
    return (
        make_clip(tmp_path / "vi.mkv"),
        make_clip(tmp_path / "ir.mkv", neutral=True),
    )


@pytest.fixture
def folder_pair(tmp_path):
    """vi/ with colour and ir/ with grey PNG, stems 1, 2, 10; every size different and odd."""
    generator = np.random.default_rng(5)
    for name in ("vi", "ir"):
        (tmp_path / name).mkdir()
    for stem, size in (("1", (21, 33)), ("2", (1, 1)), ("10", (17, 40))):
        colour = generator.integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "vi" / f"{stem}.png"), colour)
        grey = generator.integers(0, 256, size, np.uint8)
        cv2.imwrite(str(tmp_path / "ir" / f"{stem}.png"), grey)
    return tmp_path / "vi", tmp_path / "ir"


@pytest.fixture
def here(tmp_path):
    """A folder for outputs alone."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture(scope="session")
def names():
    """``names(folder)``: what is in it, sorted."""
    return lambda folder: sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="session")
def stills():
    """``stills(folder, count)``: a folder of noise, 000.png on; those ``damaged`` end half way."""

    def write(folder, count, *, kind=np.uint8, size=(24, 32), damaged=(), first=0):
        folder.mkdir()
        generator = np.random.default_rng(first)
        for number in range(first, first + count):
            path = folder / f"{number:03}.png"
            cv2.imwrite(str(path), generator.integers(0, np.iinfo(kind).max, size, kind))
            if number in damaged:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return folder

    return write


@pytest.fixture
def noise_pair(tmp_path):
    """100 frames that do not compress: 16-bit infrared of 64x48 beside a visible clip."""
    vi, ir = tmp_path / "vi.mkv", tmp_path / "ir.mkv"
    generator = np.random.default_rng(1)
    for path, pixels, kind in ((vi, "yuv420p", np.uint8), (ir, "gray16le", np.uint16)):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
            for number in range(100):
                lines = 72 if kind == np.uint8 else 48
                noise = generator.integers(0, np.iinfo(kind).max, (lines, 64), kind)
                frame = av.VideoFrame.from_ndarray(noise, format=pixels)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return vi, ir


@pytest.fixture
def average():
    with BaselineSession("average") as session:
        yield session


@dataclass
class Finished:
    code: int
    out: str
    err: str

    @property
    def summary(self):
        return json.loads(self.out)


COMMAND = (sys.executable, "-c", "from mgdn_edge.cli import main; main()")


@pytest.fixture(scope="session")
def mgdn():
    """``mgdn("fuse", ...)`` runs the command in its own process -> code, out, err, summary."""

    def run(*arguments):
        words = [*COMMAND, *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def mgdn_here(monkeypatch, capfd):
    """The same in this process: no start-up time, for long tables of cases."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mgdn", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Finished(end.value.code, *capfd.readouterr())

    return run


@pytest.fixture
def start_mgdn():
    """``start_mgdn("fuse", ...)`` -> a running process, killed at the end if need be."""
    started = []

    def start(*arguments):
        words = [*COMMAND, *map(str, arguments)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
