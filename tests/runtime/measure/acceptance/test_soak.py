"""What a soak is judged by, and that it keeps what it measured when it is interrupted."""

import msgspec
import pytest
from support.progress import Told

from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.machine.conditions import Conditions
from mgdn_edge.runtime.measure.acceptance.accept_result import Soak, Window
from mgdn_edge.runtime.measure.acceptance.soak import (
    LEAST_WINDOWS,
    WINDOWS,
    judge_latency,
    judge_memory,
    judge_throttling,
    measure_drift,
    measure_growth,
    resident_bytes,
    run_soak,
)
from mgdn_edge.runtime.measure.acceptance.subjects import Subject
from mgdn_edge.runtime.measure.acceptance.verdict import ClauseFailed, NotMeasured
from mgdn_edge.runtime.stream.latency import Percentiles

QUIET = Conditions(None, (), {}, {}, {}, (), ())
TIMES = Percentiles(1.0, 1.0, 1.0, 1.0, 9, 0)
SOUND = Soak(
    subject="fp32 640x480",
    asked_seconds=60.0,
    seconds=60.0,
    frames=600,
    fps=10.0,
    windows=(Window(30.0, TIMES, 100.0, 50.0), Window(60.0, TIMES, 101.0, 61.0)),
    drift=1.1,
    growth_mib=1.0,
    throttled={},
    gpu_reasons=(),
    conditions=(QUIET, QUIET),
    complete=True,
)


@pytest.mark.parametrize(
    ("values", "drift"),
    [([], None), ([1, 2], None), ([1, 9, 2], 2.0), ([2, 2, 2, 9, 9, 3, 3, 3], 1.5)],
)
def test_drift_is_last_third_over_first(values, drift):
    assert measure_drift(values) == drift


def test_growth_begins_after_the_first_window():
    assert measure_growth([100.0, 300.0]) is None
    assert measure_growth([100.0, 300.0, 104.0]) == 4.0


def test_a_sound_soak_passes_with_its_figures():
    assert "1.10 times" in judge_latency(SOUND) and "10.0 fps" in judge_latency(SOUND)
    assert "+1.0 MiB" in judge_memory(SOUND)
    assert judge_throttling(SOUND) == "none; the hottest sensor went from 50 to 61 °C, 61 most"


@pytest.mark.parametrize(
    ("judge", "changes", "words"),
    [
        (judge_latency, {"drift": 1.26}, "1.25 is allowed"),
        (judge_memory, {"growth_mib": 16.5}, "16 is allowed"),
        (judge_throttling, {"throttled": {"oc1": 2}}, "oc1 2 times"),
        (judge_throttling, {"gpu_reasons": ("power cap",)}, "power cap"),
    ],
)
def test_what_is_not_good_enough_fails_with_its_limit(judge, changes, words):
    with pytest.raises(ClauseFailed, match=words):
        judge(msgspec.structs.replace(SOUND, **changes))


@pytest.mark.parametrize(
    ("judge", "changes", "words"),
    [
        (judge_latency, {"complete": False, "seconds": 12.0}, "interrupted after 12 of 60 s"),
        (judge_memory, {"complete": False}, "interrupted"),
        (judge_throttling, {"complete": False}, "interrupted"),
        (judge_latency, {"drift": None}, "pass a longer --soak"),
        (judge_memory, {"growth_mib": None}, "pass a longer --soak"),
        (judge_throttling, {"throttled": None, "windows": ()}, "no temperature is readable"),
    ],
)
def test_what_was_not_measured_says_why(judge, changes, words):
    with pytest.raises(NotMeasured, match=words):
        judge(msgspec.structs.replace(SOUND, **changes))


@pytest.fixture
def subject():
    return Subject(variant=None, size=(24, 32))


@pytest.fixture
def session():
    with open_session("average") as opened:
        yield opened


@pytest.fixture
def labels(monkeypatch):
    monkeypatch.setattr(Subject, "precision", "fp32")


def test_a_soak_has_its_windows_and_every_frame(session, subject, labels):
    gone = []
    told = Told(lambda: gone.append(told.parts))
    soak, times = run_soak(session, subject, 0.3, told)
    assert soak.complete and soak.seconds >= 0.3
    assert soak.frames == len(times) == sum(window.times.n for window in soak.windows) > 0
    assert LEAST_WINDOWS <= len(soak.windows) <= WINDOWS
    assert soak.drift > 0 and all(window.resident_mib > 1 for window in soak.windows)
    assert gone == sorted(gone) and 0.3 <= gone[-1] < 30 and (times > 0).all()


def test_an_interrupted_soak_keeps_its_frames(session, subject, labels):
    def interrupt():
        if told.parts > 0.1:
            raise KeyboardInterrupt

    told = Told(interrupt)
    soak, times = run_soak(session, subject, 60.0, told)
    assert not soak.complete and 0.1 <= soak.seconds < 30
    assert soak.frames == len(times) > 0


def test_no_seconds_is_no_soak(session, subject, labels):
    soak, times = run_soak(session, subject, 0.0)
    assert soak.frames == len(times) == 0 and soak.drift is None


def test_resident_memory_is_read_where_it_is_said(tmp_path):
    assert resident_bytes(tmp_path) == 0
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("VmHWM:\t 9 kB\nVmRSS:\t    2048 kB\n")
    assert resident_bytes(tmp_path) == 2 << 20
