from fractions import Fraction

import av
import numpy as np
import pytest

from mgdn_edge.runtime.capture.files.video import PtsClock, ns_from_ticks, ticks_from_ns
from mgdn_edge.runtime.capture.frames.planes import frame_planes
from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError

EIGHT_BIT = [
    ("ffv1", "yuv420p", (2, 2)),
    ("mjpeg", "yuvj420p", (2, 2)),
    ("mjpeg", "yuvj422p", (2, 1)),
    ("ffv1", "yuv422p", (2, 1)),
    ("ffv1", "yuv444p", (1, 1)),
]


def frames_of(path):
    with open_visible(str(path)) as source:
        return list(source.frames())


@pytest.mark.parametrize("size", [(48, 64), (21, 37), (10, 6)])
@pytest.mark.parametrize(("codec", "pix_fmt", "subsampling"), EIGHT_BIT)
def test_eight_bit_planes_are_the_decoders_own(
    tmp_path, write_clip, decode_clip, codec, pix_fmt, subsampling, size
):
    tags = {"color_range": 2} if codec == "mjpeg" else {}
    path = write_clip(tmp_path / "c.mkv", codec=codec, pix_fmt=pix_fmt, size=size, tags=tags)
    frames = frames_of(path)
    _, decoded = decode_clip(path)
    assert len(frames) == len(decoded) == 6
    for frame, reference in zip(frames, decoded, strict=True):
        assert frame.subsampling == subsampling
        assert frame.y.shape == size
        for ours, plane in zip((frame.y, *frame.chroma), reference.planes, strict=True):
            lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            np.testing.assert_array_equal(ours, lines[: plane.height, : plane.width])
        assert frame.tags.full_range is (True if codec == "mjpeg" else None)


def test_lossless_luma_is_what_was_written(tmp_path, write_clip):
    def draw(index, height, width, pix_fmt):
        generator = np.random.default_rng(index)
        return [
            generator.integers(0, 256, shape, np.uint8)
            for shape in ((height, width), (height // 2, width // 2), (height // 2, width // 2))
        ]

    path = write_clip(tmp_path / "c.mkv", planes=draw, frames=3)
    for index, frame in enumerate(frames_of(path)):
        for ours, written in zip((frame.y, *frame.chroma), draw(index, 48, 64, ""), strict=True):
            np.testing.assert_array_equal(ours, written)


def test_planes_share_the_decoders_memory(tmp_path, write_clip, decode_clip):
    _, decoded = decode_clip(write_clip(tmp_path / "c.mkv"))
    planes = frame_planes(decoded[0])
    for ours, plane in zip((planes.y, *planes.chroma), decoded[0].planes, strict=True):
        assert np.shares_memory(ours, np.frombuffer(plane, np.uint8))


def test_frames_stay_valid_after_the_file_is_closed(tmp_path, write_clip):
    path = write_clip(tmp_path / "c.mkv", frames=20)
    frames = frames_of(path)
    again = frames_of(path)
    assert len(frames) == 20
    for first, second in zip(frames, again, strict=True):
        np.testing.assert_array_equal(first.y, second.y)
    assert (frames[0].y != frames[1].y).any()


def test_nv12_chroma_is_taken_apart(tmp_path):
    frame = av.VideoFrame(6, 4, "nv12")
    np.frombuffer(frame.planes[0], np.uint8)[:] = 9
    pairs = np.frombuffer(frame.planes[1], np.uint8).reshape(-1, frame.planes[1].line_size)
    pairs[:2, :6] = [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]
    planes = frame_planes(frame)
    assert planes.subsampling == (2, 2)
    np.testing.assert_array_equal(planes.chroma[0], [[1, 3, 5], [7, 9, 11]])
    np.testing.assert_array_equal(planes.chroma[1], [[2, 4, 6], [8, 10, 12]])


@pytest.mark.parametrize(
    ("pix_fmt", "bits"), [("yuv420p10le", 10), ("yuv422p10le", 10), ("yuv444p12le", 12)]
)
def test_deep_planes_are_rounded_once(tmp_path, write_clip, pix_fmt, bits):
    top = (1 << bits) - 1

    def draw(index, height, width, pix_fmt):
        values = np.arange(height * width, dtype=np.uint16).reshape(height, width) % (top + 1)
        horizontal, vertical = {"0": (2, 2), "2": (2, 1), "4": (1, 1)}[pix_fmt[5]]
        return [values, values[::vertical, ::horizontal], values[::vertical, ::horizontal]]

    path = write_clip(tmp_path / "c.mkv", pix_fmt=pix_fmt, planes=draw, frames=1, size=(64, 64))
    (frame,) = frames_of(path)
    unit = 1 << (bits - 8)
    for ours, written in zip((frame.y, *frame.chroma), draw(0, 64, 64, pix_fmt), strict=True):
        assert ours.dtype == np.uint8
        expected = np.minimum(np.rint(written / unit), 255)
        np.testing.assert_array_equal(ours, expected)
    assert frame.y.max() == 255


def test_grey_video_has_no_chroma(tmp_path, write_clip):
    (frame,) = frames_of(write_clip(tmp_path / "c.mkv", pix_fmt="gray", frames=1))
    assert frame.chroma is None
    assert frame.tags.full_range is True


def test_rgb_becomes_full_range_bt601_once():
    rgb = np.random.default_rng(1).integers(0, 256, (21, 37, 3), np.uint8)
    planes = frame_planes(av.VideoFrame.from_ndarray(rgb, format="rgb24"))
    red, green, blue = (rgb[:, :, i].astype(float) for i in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(planes.y - luma).max() < 1
    assert np.abs(planes.chroma[0] - (128 + (blue - luma) / 1.772)).max() < 1.5
    assert np.abs(planes.chroma[1] - (128 + (red - luma) / 1.402)).max() < 1.5
    assert planes.tags.full_range is True
    assert planes.tags.matrix == 5


def test_packed_422_keeps_its_luma():
    frame = av.VideoFrame(8, 2, "yuyv422")
    lines = np.frombuffer(frame.planes[0], np.uint8).reshape(2, -1)
    lines[:, :16] = np.arange(32).reshape(2, 16) + 100
    planes = frame_planes(frame)
    np.testing.assert_array_equal(planes.y, lines[:, 0:16:2])


def test_colour_tags_are_carried(tmp_path, write_clip):
    tags = {"colorspace": 1, "color_range": 2, "color_primaries": 1, "color_trc": 13}
    path = write_clip(tmp_path / "c.mp4", codec="libx264", tags=tags, frames=2)
    frame = frames_of(path)[0]
    assert (frame.tags.matrix, frame.tags.full_range) == (1, True)
    assert (frame.tags.primaries, frame.tags.transfer) == (1, 13)


def test_variable_frame_rate_stamps_are_exact(tmp_path, write_clip):
    ticks = [0, 1, 7, 8, 1000, 90001]
    path = write_clip(
        tmp_path / "c.mp4", codec="libx264", time_base=Fraction(1, 90000), ticks=ticks
    )
    expected = [round(Fraction(tick * 10**9, 90000)) for tick in ticks]
    assert [frame.pts_ns for frame in frames_of(path)] == expected


@pytest.mark.parametrize(
    "time_base",
    [Fraction(1, 15360), Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 1000000)],
)
def test_ticks_survive_the_way_through_nanoseconds(time_base):
    for ticks in (*range(-3, 4000), 10**9 + 7, 2**40 + 1):
        assert ticks_from_ns(ns_from_ticks(ticks, time_base), time_base) == ticks


def test_missing_and_standing_stamps_still_advance():
    clock = PtsClock(Fraction(1, 100), Fraction(25))
    given = [None, None, 8, 8, 3, 20, None]
    ticks = [0, 4, 8, 9, 10, 20, 24]
    assert [clock.advance(pts) for pts in given] == [tick * 10_000_000 for tick in ticks]


def test_length_is_the_number_of_frames_not_the_containers_word(tmp_path, write_clip):
    path = write_clip(tmp_path / "c.mkv", frames=7)  # Matroska states no frame count
    with open_visible(str(path)) as source:
        assert source.info.frames == 7
        assert source.info.size == (48, 64)


def test_a_source_can_be_read_again(tmp_path, write_clip):
    with open_visible(str(write_clip(tmp_path / "c.mkv"))) as source:
        first = next(source.frames())
        frames = list(source.frames())
    assert len(frames) == 6
    np.testing.assert_array_equal(first.y, frames[0].y)


def test_infrared_with_codec_noise_in_chroma_is_grey(tmp_path, write_clip):
    def draw(index, height, width, pix_fmt):
        generator = np.random.default_rng(index)
        half = (height // 2, width // 2)
        noise = [generator.integers(120, 137, half, np.uint8) for _ in range(2)]
        return [np.full((height, width), 77, np.uint8), *noise]

    path = write_clip(tmp_path / "c.mkv", planes=draw)
    with open_infrared(str(path)) as source:
        assert [int(frame.plane.mean()) for frame in source.frames()] == [77] * 6


def test_coloured_infrared_is_refused_and_luma_accepts_it(tmp_path, write_clip):
    path = str(write_clip(tmp_path / "c.mkv"))
    with open_infrared(path) as source, pytest.raises(UserError, match="--infrared-luma"):
        next(source.frames())
    with open_infrared(path, InfraredOptions(luma=True)) as source:
        plane = next(source.frames()).plane
    np.testing.assert_array_equal(plane, frames_of(path)[0].y)


def test_counts_in_video_need_a_span(tmp_path, write_clip):
    def draw(index, height, width, pix_fmt):
        return [np.full((height, width), 8000, np.uint16)]

    path = str(write_clip(tmp_path / "c.mkv", pix_fmt="gray16le", planes=draw))
    with open_infrared(path) as source, pytest.raises(UserError, match="--infrared-span 8000:8001"):
        next(source.frames())
    with open_infrared(path, InfraredOptions(span=(7000, 9000))) as source:
        assert (next(source.frames()).plane == 128).all()


def test_a_file_cut_off_is_reported_with_the_frame(tmp_path, write_clip):
    path = write_clip(tmp_path / "c.mp4", codec="libx264", frames=4)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="not a readable video"):
        open_visible(str(path))


def test_damage_inside_a_file_names_the_frames_before_it(tmp_path, write_clip):
    path = write_clip(
        tmp_path / "c.mkv", codec="mjpeg", pix_fmt="yuvj420p", frames=40, tags={"color_range": 2}
    )
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    while (start := data.find(b"\xff\xd8\xff", third)) >= 0:
        data[start : start + 700] = bytes(700)
        third = start + 700
    path.write_bytes(data)
    with open_visible(str(path)) as source:
        frames = source.frames()
        with pytest.raises(UserError, match=r"damaged after \d+ frames .*--frames \d+"):
            for _ in range(40):
                next(frames)


@pytest.mark.parametrize("content", [b"", b"hello, no video here\n" * 40, bytes(4096)])
@pytest.mark.parametrize("name", ["x.mp4", "x.txt", "x.png"])
def test_other_files_are_not_videos(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name} (is not a readable|holds no|has no)"):
        open_visible(str(path))


def test_sound_alone_holds_no_video(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(UserError, match="no video"):
        open_visible(str(path))


@pytest.mark.parametrize("uri", ["ftp://camera/1", "http://host/x.mp4", "file://host/x.mp4"])
def test_unknown_schemes_name_the_known_ones(uri):
    with pytest.raises(UserError, match="file:///absolute/path"):
        open_visible(uri)


def test_file_uri_with_escapes(tmp_path, write_clip):
    path = write_clip(tmp_path / "a b.mkv", frames=1)
    with open_visible(path.as_uri()) as source:
        assert "%20" in path.as_uri()
        assert len(list(source.frames())) == 1
