import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.progress import Told

from mgdn_edge.runtime.alignment.apply.registration import resize_into
from mgdn_edge.runtime.capture.sources import open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.baselines import BaselineSession
from mgdn_edge.runtime.output.open_sink import Sink
from mgdn_edge.runtime.output.partial_file import Kept
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.stream.fuse_stream import SourceClock, fuse_stream
from mgdn_edge.runtime.stream.ledger import STAGES, span_ns


class SlowSession(BaselineSession):
    """``average`` that takes a given time, asleep: as if a GPU computed."""

    def __init__(self, seconds=0.0, fail_at=None):
        super().__init__("average")
        self.seconds = seconds
        self.fail_at = fail_at
        self.computed = 0

    def _compute(self, slot):
        if self.computed == self.fail_at:
            raise RuntimeError("device lost")
        self.computed += 1
        time.sleep(self.seconds)
        super()._compute(slot)
        slot.started_ns -= int(self.seconds * 1e9)


class ListSink(Sink):
    """Keeps frames; may be slow or fail at a stage."""

    def __init__(self, seconds=0.0, fail_at=None):
        self.path = "list"
        self.seconds, self.fail_at = seconds, fail_at
        self.frames, self.closed, self.ended_early = [], False, False

    def copy_out(self, fused, visible):
        return fused.copy()

    def compose(self, picture, visible):
        return picture

    def encode(self, picture, visible):
        time.sleep(self.seconds)
        if visible.seq == self.fail_at:
            raise OSError("disk full")
        return visible.seq, visible.pts_ns, picture

    def output(self, encoded):
        self.frames.append(encoded)

    def close(self):
        self.closed = True

    def keep(self):
        self.ended_early = True
        return Kept(Path(self.path), len(self.frames))


@pytest.fixture(autouse=True)
def _no_thread_left():
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]
    assert left == []


def open_pairs(write_clip, folder, frames=6, **options):
    vi = write_clip(folder / "vi.mkv", frames=frames)
    ir = write_clip(folder / "ir.mkv", frames=frames, neutral=True)
    return OrderedPairs(open_visible(str(vi)), open_infrared(str(ir)), **options)


def test_every_frame_in_order_with_its_stamp(tmp_path, write_clip):
    pairs, sink = open_pairs(write_clip, tmp_path, frames=40), ListSink()
    with SlowSession() as session:
        result = fuse_stream(pairs, session, sink)
    assert [frame[0] for frame in sink.frames] == list(range(40))
    assert [frame[1] for frame in sink.frames] == [seq * 40_000_000 for seq in range(40)]
    assert (result.frames_in, result.frames_out, result.frames_dropped) == (40, 40, 0)
    assert sink.closed and not sink.ended_early and not result.interrupted
    for pair, (_, _, fused) in zip(pairs.read(), sink.frames, strict=True):
        mean = (pair.visible.y.astype(float) + pair.infrared.plane) / 2
        np.testing.assert_array_equal(fused, np.rint(mean))


def test_stages_add_up_to_end_to_end(tmp_path, write_clip):
    with SlowSession(0.002) as session:
        rows = fuse_stream(open_pairs(write_clip, tmp_path), session, ListSink(0.001)).ledger.rows
    total = sum(span_ns(rows, name) for name in STAGES)
    np.testing.assert_array_equal(total, span_ns(rows, "end_to_end"))
    for name in STAGES:
        assert (span_ns(rows, name) >= 0).all(), name
    assert (span_ns(rows, "infer") >= 2e6).all()
    assert (span_ns(rows, "encode") >= 1e6).all()


def test_reading_fusing_and_writing_overlap(tmp_path, write_clip):
    pairs, step = open_pairs(write_clip, tmp_path, frames=25), 0.02
    original = pairs.visible.frames

    def slow_frames():
        for frame in original():
            time.sleep(step)
            yield frame

    pairs.visible.frames = slow_frames
    with SlowSession(step) as session:
        begin = time.perf_counter()
        fuse_stream(pairs, session, ListSink(step))
        seconds = time.perf_counter() - begin
    # One after the other: 3 x 25 x 20 ms = 1.5 s; overlapped: 0.5 s and two steps.
    assert seconds < 0.6 * 3 * 25 * step


@pytest.mark.parametrize("stage", ["reader", "fusion", "session", "writer", "progress"])
def test_an_error_in_any_thread_stops_all_and_keeps_what_was_written(tmp_path, write_clip, stage):
    pairs = open_pairs(write_clip, tmp_path, frames=30)
    session = SlowSession(fail_at=9 if stage == "session" else None)
    sink = ListSink(fail_at=9 if stage == "writer" else None)
    progress = Told()
    if stage == "reader":
        original = pairs.infrared.frames

        def damaged():
            for frame in original():
                if frame.seq == 9:
                    raise UserError("damaged")
                yield frame

        pairs.infrared.frames = damaged
    if stage == "fusion":
        session.acquire = lambda size: 1 / 0
    if stage == "progress":

        def fail():
            raise ValueError("terminal gone")

        progress = Told(fail)

    expected = {
        "reader": UserError,
        "fusion": ZeroDivisionError,
        "session": RuntimeError,
        "writer": OSError,
        "progress": ValueError,
    }[stage]
    with session, pytest.raises(expected):
        fuse_stream(pairs, session, sink, progress=progress)
    assert sink.ended_early and not sink.closed


def test_slots_come_back_after_an_error(tmp_path, write_clip):
    with SlowSession() as session:
        with pytest.raises(OSError, match="disk full"):
            fuse_stream(
                open_pairs(write_clip, tmp_path, frames=30), session, ListSink(0.01, fail_at=3)
            )
        taken = [session.acquire((48, 64)) for _ in range(2)]
        assert len({id(slot) for slot in taken}) == 2


def test_stop_drains_what_was_read(tmp_path, write_clip):
    stop, sink = threading.Event(), ListSink(0.005)
    pairs = open_pairs(write_clip, tmp_path, frames=200)

    def on_frame():
        if len(sink.frames) == 10:
            stop.set()

    with SlowSession() as session:
        result = fuse_stream(pairs, session, sink, stop=stop, progress=Told(on_frame))
    assert result.interrupted and not sink.closed
    assert result.kept == Kept(Path("list"), result.frames_out)
    assert 10 <= result.frames_out < 40
    assert result.frames_in == result.frames_out == len(sink.frames)
    assert [frame[0] for frame in sink.frames] == list(range(result.frames_out))


def test_a_stop_after_the_last_frame_was_read_interrupts_nothing(tmp_path, write_clip):
    stop, sink = threading.Event(), ListSink()

    def on_frame():
        if len(sink.frames) == 6:
            stop.set()

    with SlowSession() as session:
        pairs = open_pairs(write_clip, tmp_path)
        result = fuse_stream(pairs, session, sink, stop=stop, progress=Told(on_frame))
    assert (result.interrupted, result.kept, sink.closed) == (False, None, True)


def test_stop_before_the_first_frame_writes_nothing(tmp_path, write_clip):
    stop, sink = threading.Event(), ListSink()
    stop.set()
    with SlowSession() as session:
        result = fuse_stream(open_pairs(write_clip, tmp_path), session, sink, stop=stop)
    assert (result.frames_in, result.frames_out, sink.frames) == (0, 0, [])


def test_source_pace_follows_the_clip(tmp_path, write_clip):
    pairs = open_pairs(write_clip, tmp_path, frames=10)
    with SlowSession() as session:
        begin = time.perf_counter()
        result = fuse_stream(pairs, session, ListSink(), pace="source")
        seconds = time.perf_counter() - begin
    assert 9 * 0.04 <= seconds < 3
    rows = result.ledger.rows
    np.testing.assert_array_equal(np.diff(rows["capture_ns"]), np.diff(rows["pts_ns"]))
    assert (rows["read_ns"] >= rows["capture_ns"]).all()


def test_source_pace_drops_old_frames_and_counts_them(tmp_path, write_clip):
    pairs, sink = open_pairs(write_clip, tmp_path, frames=25), ListSink()
    with SlowSession(0.1) as session:  # 2.5 times slower than 25 frames per second
        result = fuse_stream(pairs, session, sink, pace="source")
    assert result.frames_in == 25
    assert result.frames_out + result.frames_dropped == 25
    assert 5 <= result.frames_dropped < 20
    written = [frame[0] for frame in sink.frames]
    dropped = list(result.ledger.dropped["seq"])
    assert sorted(written + dropped) == list(range(25))
    assert written == sorted(written)
    assert written[-1] == 24  # the newest is never the one dropped
    rows = result.ledger.rows
    # A frame is chosen when it can start, not while the one before it still computes.
    assert np.median(span_ns(rows, "infer_wait")) < 20e6
    assert np.median(span_ns(rows, "end_to_end")) < 190e6


def test_lossless_pace_never_drops(tmp_path, write_clip):
    with SlowSession(0.01) as session:
        result = fuse_stream(open_pairs(write_clip, tmp_path, frames=25), session, ListSink(0.02))
    assert (result.frames_out, result.frames_dropped) == (25, 0)


def test_images_have_no_clock(folder_pair):
    pairs = OrderedPairs(
        *(
            opener(str(path))
            for opener, path in zip((open_visible, open_infrared), folder_pair, strict=True)
        )
    )
    with SlowSession() as session, pytest.raises(UserError, match="--pace source needs a clock"):
        fuse_stream(pairs, session, ListSink(), pace="source")


def test_every_image_may_have_its_own_size(folder_pair):
    pairs = OrderedPairs(
        *(
            opener(str(path))
            for opener, path in zip((open_visible, open_infrared), folder_pair, strict=True)
        )
    )
    sink = ListSink()
    with SlowSession() as session:
        fuse_stream(pairs, session, sink)
    assert [frame[2].shape for frame in sink.frames] == [(21, 33), (1, 1), (17, 40)]


def test_a_late_reader_is_charged_from_the_due_time():
    from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps

    clock, start = SourceClock(threading.Event()), time.perf_counter_ns()
    first = FrameStamps(pts_ns=0, read_ns=start, decoded_ns=start, paired_ns=start)
    late_ns = start + 500_000_000
    late = FrameStamps(pts_ns=40_000_000, read_ns=late_ns, decoded_ns=late_ns, paired_ns=late_ns)
    early = FrameStamps(pts_ns=80_000_000, read_ns=start, decoded_ns=start + 5, paired_ns=start + 7)
    clock.hold(first)
    clock._stop.set()  # what follows need not wait
    clock.hold(late)
    clock.hold(early)
    assert late.capture_ns == start + 40_000_000
    assert late.read_ns == late_ns
    assert early.capture_ns == early.read_ns == start + 80_000_000
    assert (early.decoded_ns, early.paired_ns) == (early.read_ns + 5, early.read_ns + 7)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (48, 64), (97, 131)])
def test_infrared_is_resized_into_the_slot(size):
    plane = np.random.default_rng(2).integers(0, 256, (24, 32), np.uint8)
    target = np.zeros(size, np.uint8)
    resize_into(plane, target)
    assert abs(float(target.mean()) - float(plane.mean())) < 60
    assert target.any()
    flat = np.full((24, 32), 9, np.uint8)
    resize_into(flat, target)
    assert (target == 9).all()


def test_a_network_for_stills_refuses_a_video_before_the_first_frame(tmp_path, write_clip):
    pairs, sink = open_pairs(write_clip, tmp_path), ListSink()
    with SlowSession() as session:
        session.stills_only = True
        with pytest.raises(UserError, match=r"vi\.mkv is a video, which would flicker"):
            fuse_stream(pairs, session, sink)
    assert session.computed == 0 and sink.frames == []
