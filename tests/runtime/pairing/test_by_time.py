import dataclasses
import threading

import pytest

from mgdn_edge.runtime.capture.clocks.steady_stamps import SteadyStamps
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_time import TimedPairs
from mgdn_edge.runtime.pairing.clock_fit import ClockFit, read_clock, write_clock
from mgdn_edge.runtime.pairing.timed_options import TimedOptions, timed_options
from mgdn_edge.runtime.sync.clock_offset import measure_clock
from mgdn_edge.runtime.sync.motion import measure_motion
from mgdn_edge.runtime.whole_file import Output

HALF_FRAME_MS = 20.0


def pair_errors(street, pairs):
    """Visible number -> true milliseconds between the two exposures of its pair."""
    clocks = street.rig.clocks
    return {
        pair.visible.seq: (clocks.infrared_time_ns(pair.infrared.seq) - pair.visible.pts_ns) / 1e6
        for pair in pairs.read()
    }


@pytest.mark.parametrize("offset", [0, 90, 300])
def test_pairs_lie_within_half_a_frame_wherever_both_exist(street, list_source, offset):
    infrared = street.with_offset(offset)
    clock = measure_clock(measure_motion(street.visible), measure_motion(infrared))
    pairs = TimedPairs(list_source(street.visible), list_source(infrared), TimedOptions(clock))
    errors = pair_errors(street, pairs)
    both = set(range(len(street.visible))) - street.lost
    assert both - set(errors) == set()
    assert max(abs(errors[number]) for number in both) <= HALF_FRAME_MS
    assert 0 < pairs.unpaired <= len(street.lost)


def test_by_order_the_same_rig_is_far_off(street, list_source):
    # The negative control: without the clock, pairs are an offset apart.
    pairs = TimedPairs(
        list_source(street.visible), list_source(street.with_offset(300)), TimedOptions()
    )
    errors = pair_errors(street, pairs)
    assert max(abs(error) for error in errors.values()) > 250


def frames_at(template, milliseconds):
    return [
        dataclasses.replace(template, pts_ns=round(ms * 1e6), seq=seq)
        for seq, ms in enumerate(milliseconds)
    ]


def partners(street, list_source, policy, visible_ms, infrared_ms, **options):
    visible = frames_at(street.visible[0], visible_ms)
    infrared = frames_at(street.infrared[0], infrared_ms)
    pairs = TimedPairs(
        list_source(visible), list_source(infrared), TimedOptions(policy=policy, **options)
    )
    found = {p.visible.seq: (p.infrared.seq, p.stamps.pair_skew_ns / 1e6) for p in pairs.read()}
    return found, pairs


def test_what_becomes_of_a_visible_frame_without_partner(street, list_source):
    visible, infrared = [0, 40, 80, 120, 160], [2, 38, 130, 161]  # the one at 80 is lost
    drop, pairs = partners(street, list_source, "drop", visible, infrared)
    assert drop == {0: (0, 2.0), 1: (1, -2.0), 3: (2, 10.0), 4: (3, 1.0)}
    assert pairs.unpaired == 1
    nearest, _ = partners(street, list_source, "nearest", visible, infrared)
    assert nearest[2] == (1, -42.0)
    hold, pairs = partners(street, list_source, "hold", visible, infrared)
    assert hold == {1: (1, -2.0), 2: (1, -42.0), 3: (1, -82.0), 4: (2, -30.0)}
    assert pairs.unpaired == 1  # nothing had come before the first


def test_pairs_end_where_infrared_ends(street, list_source):
    found, _ = partners(street, list_source, "hold", range(0, 4000, 40), range(0, 200, 40))
    assert max(found) == 4


def test_skew_moves_the_moment(street, list_source):
    clock = ClockFit(offset_ms=10, skew_ppm=1000, at_s=1)
    found, _ = partners(street, list_source, "nearest", [0, 100_000], [9, 100_109], clock=clock)
    assert found[0] == (0, pytest.approx(0, abs=1e-2))
    assert found[1] == (1, pytest.approx(0, abs=1e-2))


def test_a_wrapping_and_restarting_infrared_clock(street, list_source):
    visible = [k * 40 for k in range(200)]
    wrapping = [(4000 + k * 40) % (2**32 / 1e6) for k in range(200)]
    clock = ClockFit(offset_ms=4000)
    found, pairs = partners(street, list_source, "drop", visible, wrapping, clock=clock)
    assert {seq: partner for seq, (partner, _) in found.items()} == {k: k for k in range(200)}
    assert pairs.resets == 0
    restarting = [7000 + k * 40 if k < 100 else (k - 100) * 40 for k in range(200)]
    clock = ClockFit(offset_ms=7000)
    found, pairs = partners(street, list_source, "drop", visible, restarting, clock=clock)
    assert {seq: partner for seq, (partner, _) in found.items()} == {k: k for k in range(200)}
    assert pairs.resets == 1


@pytest.mark.parametrize(
    "period_ns", [2**32, 2**32 * 1000, 2**32 * 100_000 // 9, 2**33 * 100_000 // 9]
)
def test_stamps_go_on_across_a_wrap(period_ns):
    steady, start = SteadyStamps(), period_ns - 100_000_000
    stamps = [steady.advance((start + k * 40_000_000) % period_ns) for k in range(6)]
    assert stamps == [start + k * 40_000_000 for k in range(6)]
    assert steady.resets == 0


def test_small_steps_back_advance_by_a_nanosecond():
    steady = SteadyStamps()
    assert [steady.advance(ns) for ns in (50, 50, 40, 90)] == [50, 51, 52, 90]
    assert steady.resets == 0


def test_a_live_pair_waits_no_longer_than_the_jitter_buffer(street, list_source):
    stalled = threading.Event()

    def gate(number):
        if number == 2:
            stalled.wait(20)

    visible = list_source(frames_at(street.visible[0], [0, 40, 80, 120]))
    infrared = list_source(frames_at(street.infrared[0], [0, 40, 80]), live=True, gate=gate)
    infrared.interrupt = stalled.set
    options = TimedOptions(policy="hold", wait_ms=30)
    pairs = TimedPairs(visible, infrared, options, frames=4)
    assert [pair.infrared.seq for pair in pairs.read()] == [0, 1, 1, 1]
    assert pairs.overtaken == 0
    assert not any(thread.name == "mgdn-list" for thread in threading.enumerate())


def test_closing_a_source_ends_the_thread_that_reads_it(street, list_source):
    dead = threading.Event()
    frames = frames_at(street.visible[0], [0, 40, 80])
    visible = list_source(frames, live=True, gate=lambda number: number == 2 and dead.wait(20))
    visible.interrupt = dead.set
    infrared = list_source(frames_at(street.infrared[0], [0, 40, 80]), live=True)
    TimedPairs(visible, infrared, TimedOptions(policy="nearest"))  # begun, and never read
    visible.end()
    infrared.end()
    assert not any(thread.name == "mgdn-list" for thread in threading.enumerate())


def test_a_stop_ends_pairs_of_a_dead_camera(street, list_source):
    dead, stop = threading.Event(), threading.Event()
    frames = frames_at(street.visible[0], [0, 40])
    visible = list_source(frames, live=True, gate=lambda number: number and dead.wait(20))
    visible.interrupt = dead.set
    infrared = list_source(frames_at(street.infrared[0], [0, 40, 80]), live=True)
    pairs = TimedPairs(visible, infrared, TimedOptions(policy="nearest"), stop=stop).read()
    assert next(pairs).visible.seq == 0
    stop.set()
    assert next(pairs, None) is None


def test_an_error_of_a_live_source_ends_the_pairs(street, list_source):
    def gate(number):
        if number == 1:
            raise UserError("the camera is gone")

    visible = list_source(frames_at(street.visible[0], [0, 40, 80]), live=True)
    infrared = list_source(frames_at(street.infrared[0], [0, 40, 80]), live=True, gate=gate)
    with pytest.raises(UserError, match="the camera is gone"):
        list(TimedPairs(visible, infrared, TimedOptions()).read())


def test_the_clock_file_is_read_back_and_checked(tmp_path):
    path = tmp_path / "clock.json"
    fit = ClockFit(offset_ms=12.5, skew_ppm=-40, at_s=6, error_ms=0.5)
    write_clock(Output(path, "--output"), fit)
    assert read_clock(path) == fit
    assert timed_options(None, None, path, None).clock == fit
    assert timed_options(None, None, None, None) is None
    path.write_text('{"offset_ms": "soon"}')
    with pytest.raises(UserError, match=r"not a clock file.*mgdn sync"):
        read_clock(path)
    path.write_text('{"schema": "other"}')
    with pytest.raises(UserError, match=r"wanted 'mgdn\.clock/1'"):
        read_clock(path)
    with pytest.raises(UserError, match="leave out --offset"):
        timed_options(1.0, None, path, None)
    with pytest.raises(UserError, match="more than two clocks differ by"):
        timed_options(None, float("nan"), None, None)
    with pytest.raises(UserError, match="cannot read"):
        read_clock(tmp_path / "none.json")


def test_sync_and_fuse_on_the_command_line(run_mgdn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rig = "synthetic://dusk?seed=1&size=80x60&frames=100&loss=0.05&offset=80"
    done = run_mgdn("sync", rig, rig, "--output", "clock.json")
    assert done.code == 0, done.err
    assert "fuse" in done.out and "--clock clock.json" in done.out
    assert abs(read_clock(tmp_path / "clock.json").offset_ms - 80) < 5
    words = ("--network", "average", "--frames", "20", "--clock", "clock.json", "--json")
    fused = run_mgdn("fuse", rig, rig, "out.mp4", *words)
    assert fused.code == 0, fused.err
    assert '"pairing":{"policy":"drop"' in fused.out
    assert (tmp_path / "out.mp4").stat().st_size > 0
