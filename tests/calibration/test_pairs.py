import numpy as np
import pytest

from mgdn_edge.calibration.exchanged_cameras import looks_exchanged
from mgdn_edge.calibration.held_out_pairs import HeldOut, hold_out, refuse_seen
from mgdn_edge.calibration.pair_selection import (
    describe_selection,
    look_at_pairs,
    only_chosen,
    select_pairs,
)
from mgdn_edge.calibration.pairs import FramePair, digest_pair, list_recordings, read_pairs
from mgdn_edge.runtime.errors import UserError


def pair(name, mean, spread, seed=0, size=(24, 32)):
    noise = np.random.default_rng(seed).normal(0, 1, (2, *size))
    visible = np.clip(mean + 20 * noise[0], 0, 255).astype(np.uint8)
    return FramePair(name, visible, np.clip(128 + spread * noise[1], 0, 255).astype(np.uint8))


def test_a_folder_is_read_as_the_runtime_reads_it(street_folder, streets):
    found = list(read_pairs(list_recordings(str(street_folder))))
    assert [each.name for each in found] == sorted(f"seen/{name}" for name, _, _ in streets)
    by_name = {f"seen/{name}": (visible, infrared) for name, visible, infrared in streets}
    for each in found:
        assert np.array_equal(each.visible, by_name[each.name][0])
        assert np.array_equal(each.infrared, by_name[each.name][1])


def test_two_paths_and_a_manifest_give_the_same_pairs(street_folder, tmp_path, streets):
    joined = f"{street_folder / 'vi'},{street_folder / 'ir'}"
    pairs = [digest_pair(each) for each in read_pairs(list_recordings(joined))]
    names = sorted(name for name, _, _ in streets)
    lines = [
        f"drawn,{name},ir/{name}.png,vi/{name}.png,{'val' if n == 0 else 'train'}\n"
        for n, name in enumerate(names)
    ]
    (street_folder / "manifest.csv").write_text("dataset,name,ir,vi,split\n" + "".join(lines))
    try:
        listed = read_pairs(list_recordings(f"{street_folder}#drawn:train"))
        assert [digest_pair(each).visible for each in listed] == [p.visible for p in pairs[1:]]
        assert len(list_recordings(f"{street_folder}#drawn")) == len(names)
        assert len(list_recordings(f"{street_folder}#:val")) == 1
        with pytest.raises(UserError, match=r"no rows for drawn:test; it has: drawn:train"):
            list_recordings(f"{street_folder}#drawn:test")
        with pytest.raises(UserError, match="SET:SPLIT"):
            list_recordings(str(street_folder))
    finally:
        (street_folder / "manifest.csv").unlink()


@pytest.mark.parametrize(
    "text, message",
    [
        ("nowhere", "does not exist; give a folder with vi and ir"),
        ("nowhere#x:train", "cannot read nowhere/manifest.csv"),
        ("ir.mp4,vi.mp4", "the visible recording comes first: vi.mp4,ir.mp4"),
        ("day/infrared/1.png,day/vis/1.png", "comes first"),
    ],
)
def test_wrong_arguments_say_what_to_type(text, message):
    with pytest.raises(UserError, match=message):
        list_recordings(text)


def test_a_folder_without_infrared_is_refused(tmp_path):
    (tmp_path / "vi").mkdir()
    with pytest.raises(UserError, match="no ir"):
        list_recordings(str(tmp_path))


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
    recordings = list_recordings(str(street_folder))
    facts = look_at_pairs(read_pairs(recordings))
    free, held = hold_out((), recordings, facts)
    assert (free, held.indices) == (9, [9, 10, 11])
    read = [digest_pair(each) for each in held.read()]
    assert read == [each.digest for each in held.facts]
    assert "last quarter" in held.notes[0]
    with pytest.raises(UserError, match="7 pairs are too few"):
        hold_out((), recordings, facts[:7])


def test_a_held_out_pair_that_was_calibrated_on_is_refused(street_folder):
    recordings = list_recordings(str(street_folder))
    facts = look_at_pairs(read_pairs(recordings))
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
        name: look_at_pairs(read_pairs(list_recordings(f"{shared / 'data'}#{name}")[:12]))
        for name in sets
    }
    for first in sets:
        for second in sets:
            assert not looks_exchanged(facts[first], facts[second]), (first, second)
