import json
from collections import defaultdict
from itertools import pairwise

import pytest
from support.fusing import fuse

from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.stream.frame_times import WORK_STAGES
from mgdn_edge.runtime.stream.frame_trace import TRACKS, trace_events, write_trace
from mgdn_edge.runtime.stream.ledger import STAGES, Ledger
from mgdn_edge.runtime.whole_file import Output


@pytest.fixture
def ledger() -> Ledger:
    """Three frames whose every stage lasts another odd number of nanoseconds, one dropped."""
    filled = Ledger()
    for seq in range(3):
        now = 10**15 + seq * 1000
        stamps = FrameStamps(seq=seq, pts_ns=seq * 40)
        for number, field in enumerate(FrameStamps.__slots__[2:]):
            now += 0 if field == "aligned_ns" else 1001 + 13 * number + seq
            setattr(stamps, field, now)
        filled.add(stamps)
    filled.add_dropped(3, 120, 10**15 + 7777)
    return filled


def test_stages_add_up_to_the_ledger(ledger):
    events = list(trace_events(ledger.rows, ledger.dropped))
    spent = defaultdict(lambda: defaultdict(float))
    opened = {}
    for event in events:
        if event["ph"] == "X":
            spent[event["args"]["frame"]][event["name"]] += event["dur"]
        elif event["ph"] == "b":
            opened[event["id"], event["name"]] = event["ts"]
        elif event["ph"] == "e":
            begin = opened.pop((event["id"], event["name"]))
            spent[event["id"]][event["name"]] += event["ts"] - begin
    assert not opened
    for row in ledger.rows:
        frame = spent[int(row["seq"])]
        total = frame.pop(f"frame {row['seq']}")
        for name, (begin, end) in STAGES.items():
            assert frame[name] * 1000 == pytest.approx(row[end] - row[begin], abs=1e-3)
        assert sum(frame.values()) == pytest.approx(total)
        assert total * 1000 == pytest.approx(row["out_ns"] - row["capture_ns"], abs=1e-3)


def test_dropped_frames_are_instants(ledger):
    (event,) = [e for e in trace_events(ledger.rows, ledger.dropped) if e["ph"] == "i"]
    assert event["args"] == {"frame": 3, "pts_ns": 120}
    assert event["name"] == "dropped" and event["s"] == "t"


def test_the_file_is_trace_event_json(ledger, tmp_path):
    path = tmp_path / "t.json"
    write_trace(Output(path, "--trace"), ledger, {"network": "average"})
    document = json.loads(path.read_text())
    assert document["otherData"] == {"network": "average"}
    names = {e["args"]["name"] for e in document["traceEvents"] if e["name"] == "thread_name"}
    assert names == set(TRACKS)
    for event in document["traceEvents"]:
        assert event["ph"] in ("M", "X", "b", "e", "i")
        assert isinstance(event["pid"], int) and isinstance(event["name"], str)
        if event["ph"] != "M":
            assert event["ts"] >= 0 and isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert event["dur"] > 0
        if event["ph"] in "be":
            assert event["cat"] == "frame" and isinstance(event["id"], int)


def test_every_work_stage_has_a_track():
    assert {stage for stages in TRACKS.values() for stage in stages} == set(WORK_STAGES)


def test_an_empty_ledger_is_a_trace_without_frames(tmp_path):
    write_trace(Output(tmp_path / "t.json", "--trace"), Ledger(), {})
    assert len(json.loads((tmp_path / "t.json").read_text())["traceEvents"]) == 1 + len(TRACKS)


@pytest.mark.parametrize("pace", ["none", "source"])
def test_a_real_streams_tracks_do_not_overlap(tmp_path, report_clips, pace):
    path = tmp_path / "t.json"
    fuse(*report_clips, str(tmp_path / "o.mp4"), network="average", pace=pace, trace=path)
    by_track = defaultdict(list)
    for event in json.loads(path.read_text())["traceEvents"]:
        if event["ph"] == "X":
            by_track[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    assert len(by_track) == len(TRACKS)
    for spans in by_track.values():
        spans.sort()
        for (_, ended), (began, _) in pairwise(spans):
            assert began >= ended - 1e-3
