import os
from fractions import Fraction

import cv2
import numpy as np
import pytest
from support.fusing import fuse

from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.open_sink import open_sink
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.stream.fuse_stream import fuse_stream
from mgdn_edge.runtime.whole_file import Outputs

LUMA = InfraredOptions(luma=True)


@pytest.fixture
def fuse_same(average):
    """Fuse a recording with itself: the fused luma is the visible one, so files compare."""

    def run(path, output):
        pairs = OrderedPairs(open_visible(str(path)), open_infrared(str(path), LUMA))
        outputs = Outputs(pairs.visible.paths)
        sink = open_sink(str(output), pairs.visible.info, pairs.count, outputs)
        fuse_stream(pairs, average, sink)
        return output

    return run


def planes_of(frame):
    planes = []
    for plane in frame.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(lines[: plane.height, : plane.width].astype(int))
    return planes


CASES = [
    ("ffv1", "yuv420p", (48, 64), "yuv420p"),
    ("mjpeg", "yuvj420p", (48, 64), "yuvj420p"),
    ("ffv1", "yuv422p", (48, 64), "yuv422p"),
    ("ffv1", "yuv422p", (47, 64), "yuv422p"),
    ("ffv1", "yuv444p", (48, 64), "yuv444p"),
    ("ffv1", "yuv420p", (47, 63), "yuv444p"),
    ("ffv1", "yuv422p", (48, 63), "yuv444p"),
    ("ffv1", "gray", (48, 64), "yuvj420p"),
    ("ffv1", "gray", (33, 35), "yuvj444p"),
]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(("codec", "pix_fmt", "size", "written"), CASES)
def test_video_keeps_planes_and_subsampling(
    tmp_path, write_clip, decode_clip, fuse_same, codec, pix_fmt, size, written, suffix
):
    tags = {"color_range": 2} if codec == "mjpeg" else {}
    path = write_clip(tmp_path / "vi.mkv", codec=codec, pix_fmt=pix_fmt, size=size, tags=tags)
    output = fuse_same(path, tmp_path / f"out{suffix}")
    frames = list(open_visible(str(path)).frames())
    _, decoded = decode_clip(output)
    assert [frame.format.name for frame in decoded] == [written] * 6
    for frame, result in zip(frames, decoded, strict=True):
        y, u, v = planes_of(result)
        assert y.shape == size
        assert np.abs(y - frame.y).mean() < 3  # CRF 18 on a drawn ramp of 3 levels a pixel
        if frame.chroma is None:
            assert (u == 128).all() and (v == 128).all()
            continue
        sx, sy = frame.subsampling if written.endswith("444p") else (1, 1)
        for plane, source in zip((u, v), frame.chroma, strict=True):
            assert np.abs(plane[::sy, ::sx] - source).mean() < 5


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(
    ("time_base", "ticks"),
    [
        (Fraction(1, 25), [0, 1, 2, 3, 4, 5]),
        (Fraction(1, 15360), [0, 512, 1024, 1536, 2048, 2560]),
        (Fraction(1001, 30000), [0, 1, 2, 3, 4, 5]),
        (Fraction(1, 90000), [0, 1, 7, 8, 1000, 90001]),
        (Fraction(1, 90000), [7777, 7900, 8000, 12000, 13000, 99000]),
    ],
)
def test_stamps_are_kept_exactly(
    tmp_path, write_clip, decode_clip, fuse_same, time_base, ticks, suffix
):
    path = write_clip(tmp_path / "vi.nut", codec="rawvideo", time_base=time_base, ticks=ticks)
    base_in, given = decode_clip(path)
    seconds_in = [frame.pts * base_in for frame in given]
    assert seconds_in == [tick * time_base for tick in ticks]
    base_out, decoded = decode_clip(fuse_same(path, tmp_path / f"out{suffix}"))
    assert [frame.pts * base_out for frame in decoded] == seconds_in


def test_matroska_stamps_are_rounded_to_its_milliseconds(
    tmp_path, write_clip, decode_clip, fuse_same
):
    ticks = [0, 512, 1024, 1536, 2048, 2560]
    path = write_clip(
        tmp_path / "vi.mp4", codec="libx264", time_base=Fraction(1, 15360), ticks=ticks
    )
    base, decoded = decode_clip(fuse_same(path, tmp_path / "out.mkv"))
    for frame, tick in zip(decoded, ticks, strict=True):
        assert abs(frame.pts * base - Fraction(tick, 15360)) <= Fraction(1, 1000)


@pytest.mark.parametrize("full_range", [0, 1, 2])
def test_colour_tags_are_kept(tmp_path, write_clip, decode_clip, fuse_same, full_range):
    tags = {"colorspace": 9, "color_range": full_range, "color_primaries": 9, "color_trc": 16}
    path = write_clip(tmp_path / "vi.mp4", codec="libx264", tags=tags, frames=2)
    _, before = decode_clip(path)
    _, after = decode_clip(fuse_same(path, tmp_path / "out.mp4"))
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        assert int(getattr(after[0], name)) == int(getattr(before[0], name)), name
    assert int(after[0].colorspace) == 9


def test_no_pixel_of_a_planar_clip_is_converted(tmp_path, write_clip, fuse_same, monkeypatch):
    path = write_clip(tmp_path / "vi.mkv")

    def refuse(*arguments, **options):
        raise AssertionError("converted")

    for name in ("cvtColor", "transform", "resize", "convertScaleAbs"):
        monkeypatch.setattr(cv2, name, refuse)
    fuse_same(path, tmp_path / "out.mp4")
    with pytest.raises(AssertionError, match="converted"):
        fuse_same(path, tmp_path / "out")


def test_no_frame_waits_for_a_later_one(tmp_path, write_clip, fuse_same):
    import av

    output = fuse_same(write_clip(tmp_path / "vi.mkv", frames=30), tmp_path / "out.mp4")
    with av.open(str(output)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert all(packet.pts == packet.dts for packet in packets)


def test_folder_output_keeps_stems_sizes_and_pixels(folder_pair, fuse_same, tmp_path):
    vi, ir = folder_pair
    for folder in (vi, ir):
        output = fuse_same(folder, tmp_path / f"out_{folder.name}")
        assert sorted(path.name for path in output.iterdir()) == ["1.png", "10.png", "2.png"]
        for path in output.iterdir():
            before = cv2.imread(str(folder / path.name), cv2.IMREAD_UNCHANGED)
            after = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert after.shape == before.shape
            limit = 2 if before.ndim == 3 else 0  # grey is untouched, colour rounded twice
            assert np.abs(after.astype(int) - before).max() <= limit


def test_video_to_folder_numbers_its_frames(tmp_path, write_clip, fuse_same):
    path = write_clip(tmp_path / "vi.mkv", size=(21, 37), frames=3)
    output = fuse_same(path, tmp_path / "out")
    names = sorted(path.name for path in output.iterdir())
    assert names == ["000000.png", "000001.png", "000002.png"]
    assert cv2.imread(str(output / names[0]), cv2.IMREAD_UNCHANGED).shape == (21, 37, 3)


def test_video_to_folder_uses_the_clips_matrix_and_range(tmp_path, write_clip, fuse_same):
    def white(index, height, width, pix_fmt):
        half = (height // 2, width // 2)
        return [np.full((height, width), 235, np.uint8), *(np.full(half, 128, np.uint8),) * 2]

    path = write_clip(tmp_path / "vi.mkv", planes=white, frames=1)
    output = fuse_same(path, tmp_path / "out.png")
    assert (cv2.imread(str(output)) == 255).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_single_image(tmp_path, fuse_same, suffix):
    grey = np.random.default_rng(4).integers(0, 256, (9, 7), np.uint8)
    cv2.imwrite(str(tmp_path / "x.png"), grey)
    output = fuse_same(tmp_path / "x.png", tmp_path / f"out{suffix}")
    after = cv2.imread(str(output), cv2.IMREAD_UNCHANGED).astype(int)
    assert np.abs(after - grey).max() <= (40 if suffix == ".jpg" else 0)


def test_images_to_video_play_at_25(tmp_path, decode_clip, fuse_same):
    (tmp_path / "vi").mkdir()
    for index in range(4):
        cv2.imwrite(str(tmp_path / "vi" / f"{index}.png"), np.full((20, 30), 40 * index, np.uint8))
    base, frames = decode_clip(fuse_same(tmp_path / "vi", tmp_path / "out.mp4"))
    assert [frame.pts * base for frame in frames] == [Fraction(i, 25) for i in range(4)]


def test_images_of_different_sizes_are_no_video(folder_pair, fuse_same, tmp_path, decode_clip):
    with pytest.raises(UserError, match="give a folder as OUTPUT"):
        fuse_same(folder_pair[0], tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    assert len(decode_clip(tmp_path / "out.part.mp4")[1]) == 1


def open_for(tmp_path, write_clip, output, frames=6):
    path = write_clip(tmp_path / "in.mkv", frames=frames)
    return open_sink(str(output), open_visible(str(path)).info, frames, Outputs([path], True))


def test_nothing_is_created_before_the_first_frame(tmp_path, write_clip):
    for name in ("out.mp4", "out", "out.png"):
        open_for(tmp_path, write_clip, tmp_path / name, frames=1).close()
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/out.mp4", "mkdir -p"),
        ("missing/deeper/out", "mkdir -p"),
        ("in.mkv/out.mp4", "is not a folder"),
        ("out.avi", "is not a kind of output"),
        ("out.png", "one image but there are 6 frames"),
        ("in.mkv", "would overwrite the input"),
        ("in.mkv/", "is a file"),
        ("rtsp://host/out", "--pace source"),
        ("http://host/out", "not supported"),
    ],
)
def test_wrong_outputs_are_refused(tmp_path, write_clip, name, message):
    output = name if "://" in name else f"{tmp_path}/{name}"
    with pytest.raises(UserError, match=message):
        open_for(tmp_path, write_clip, output)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_under_another_name_is_still_an_input(tmp_path, write_clip, link):
    path = write_clip(tmp_path / "vi.mkv")
    link(path, tmp_path / "other.mkv")
    with pytest.raises(UserError, match="would overwrite"):
        outputs = Outputs([path], overwrite=True)
        open_sink(str(tmp_path / "other.mkv"), open_visible(str(path)).info, 6, outputs)


def test_an_input_folder_is_no_output(folder_pair, fuse_same):
    with pytest.raises(UserError, match="would overwrite"):
        fuse_same(folder_pair[0], folder_pair[0])
    output = fuse_same(folder_pair[0], folder_pair[0] / "fused")  # beneath it is fine
    assert len(list(output.iterdir())) == 3


def test_a_folder_with_input_clips_is_filled_where_its_owner_agrees(tmp_path, write_clip, average):
    path = str(write_clip(tmp_path / "vi.mkv", frames=2))
    with pytest.raises(UserError, match="is not empty; pass --overwrite"):
        fuse(path, path, str(tmp_path), network="average", infrared_options=LUMA)
    fuse(path, path, str(tmp_path), network="average", infrared_options=LUMA, overwrite=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "000000.png",
        "000001.png",
        "vi.mkv",
    ]
