import numpy as np
import pytest

from mgdn_edge.calibration.exchanged_cameras import looks_exchanged
from mgdn_edge.calibration.held_out_pairs import HeldOut, hold_out, refuse_seen
from mgdn_edge.calibration.pair_selection import (
    describe_selection,
    digest_pair,
    look_at_pairs,
    only_chosen,
    select_pairs,
)
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import FramePair, list_recordings, read_frame_pairs


def pair(name, mean, spread, seed=0, size=(24, 32)):
    noise = np.random.default_rng(seed).normal(0, 1, (2, *size))
    visible = np.clip(mean + 20 * noise[0], 0, 255).astype(np.uint8)
    return FramePair(name, visible, np.clip(128 + spread * noise[1], 0, 255).astype(np.uint8))


def test_selection_spreads_over_light_and_contrast():
    day = [pair(f"day{n}", 150, 10, n) for n in range(30)]
    night = [pair(f"night{n}", 20, 60, 100 + n) for n in range(4)]
    facts = look_at_pairs([*day, *night])
    chosen = select_pairs(facts, 8)
    assert len(chosen) == 8 and sum(index >= 30 for index in chosen) == 4
    assert describe_selection(facts, chosen) == (
        "8 of 34 pairs; visible light: 4 dark, 4 bright; infrared contrast: 4 low, 4 high"
    )
    days = [index for index in chosen if index < 30]
    assert max(days) - min(days) > 15  # spread over the recording, not its beginning
    assert select_pairs(facts, 8) == chosen
    assert [p.name for p in only_chosen([*day, *night], chosen)] == [
        facts[index].digest.name for index in chosen
    ]
    assert len(select_pairs(facts, 1000)) == 34


def test_repetitions_and_blank_pairs_are_passed_over():
    good = pair("good", 90, 30)
    blank = FramePair("blank", good.visible, np.full_like(good.infrared, 7))
    facts = look_at_pairs([good, blank, good._replace(name="again"), good._replace(name="more")])
    assert select_pairs(facts, 10) == [0]


def test_an_all_black_set_is_refused():
    black = np.zeros((24, 32), np.uint8)
    facts = look_at_pairs([FramePair(str(n), black, black) for n in range(9)])
    with pytest.raises(UserError, match="all 9 calibration pairs are blank"):
        select_pairs(facts, 4)


def test_no_pair_and_no_wish_are_refused():
    with pytest.raises(UserError, match="no pair"):
        select_pairs([], 4)
    with pytest.raises(UserError, match="--pairs 0"):
        select_pairs(look_at_pairs([pair("x", 90, 30)]), 0)


def test_the_last_quarter_is_held_out_where_nothing_else_is_given(street_folder):
    recordings = list_recordings(str(street_folder), "train")
    facts = look_at_pairs(read_frame_pairs(recordings))
    free, held = hold_out((), recordings, facts)
    assert (free, held.indices) == (9, [9, 10, 11])
    read = [digest_pair(each) for each in held.read()]
    assert read == [each.digest for each in held.facts]
    assert "last quarter" in held.notes[0]
    with pytest.raises(UserError, match="7 pairs are too few"):
        hold_out((), recordings, facts[:7])


def test_a_held_out_pair_that_was_calibrated_on_is_refused(street_folder):
    recordings = list_recordings(str(street_folder), "train")
    facts = look_at_pairs(read_frame_pairs(recordings))
    with pytest.raises(UserError, match=r"held-out pair seen/.* is calibration pair"):
        refuse_seen(facts[:5], HeldOut(facts[4:], recordings, [4], ()))


def test_exchanged_cameras_are_seen_and_others_are_not(streets, other_streets):
    def facts(pairs, exchanged=False):
        planes = [(n, i, v) if exchanged else (n, v, i) for n, v, i in pairs]
        return look_at_pairs(FramePair(*each) for each in planes)

    held = facts(other_streets)
    assert not looks_exchanged(facts(streets), held)
    assert looks_exchanged(facts(streets, exchanged=True), held)


@pytest.mark.data
def test_different_sets_never_look_exchanged(shared):
    sets = ("roadscene:val", "vifb", "msrs", "msrs_gray", "tno", "tno_extra", "m3fd")
    facts = {
        name: look_at_pairs(
            read_frame_pairs(list_recordings(f"{shared / 'data'}#{name}", "train")[:12])
        )
        for name in sets
    }
    for first in sets:
        for second in sets:
            assert not looks_exchanged(facts[first], facts[second]), (first, second)
