"""What ``mgdn align`` writes: never over what it reads, over nothing else unasked, whole."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.alignment.apply.rig_file import read_rig
from mgdn_edge.runtime.alignment.measure.align import RigFiles, RigRequest, align_by_points
from mgdn_edge.runtime.alignment.measure.alignment_pairs import read_alignment_pairs
from mgdn_edge.runtime.alignment.measure.click_page import ClickSession, align_by_clicks
from mgdn_edge.runtime.capture.sources import InfraredOptions
from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.synthetic import open_rig

SCENE = "synthetic://day?seed=6&size=160x120&ir_size=96x72&ir_fov=48&frames=2"
PLACES = [[9, 8], [86, 9], [84, 63], [10, 60], [45, 36], [66, 45]]


def true_pairs():
    rig = open_rig(SCENE)
    truth = rig.infrared_camera.homography_to(rig.visible_camera)
    seen = cv2.perspectiveTransform(np.array([PLACES], float), truth)[0]
    return np.hstack([seen, np.array(PLACES, float)]).tolist()


@pytest.fixture
def scene(tmp_path, monkeypatch) -> Path:
    """A working folder with scene.png, heat.png and pairs.csv."""
    monkeypatch.chdir(tmp_path)
    rig = open_rig(SCENE)
    for name, plane in (("scene", rig.visible(0).y), ("heat", rig.infrared(0).plane)):
        assert cv2.imwrite(f"{name}.png", np.asarray(plane, np.uint8))
    lines = ["x_vis,y_vis,x_ir,y_ir", *(",".join(map(str, pair)) for pair in true_pairs())]
    Path("pairs.csv").write_text("\n".join(lines))
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


WORDS = ("align", "scene.png", "heat.png")
POINTS = ("--points", "pairs.csv")


def test_an_overlay_is_never_drawn_over_a_camera(scene, run_mgdn):
    before = contents(scene)
    for given in ((), ("-y",), ("--overwrite",)):
        done = run_mgdn(*WORDS, "scene.toml", *POINTS, *given)
        assert done.code == 2
        assert "RIG scene.png would overwrite the input scene.png; give another RIG" in done.err
    Path("linked.png").symlink_to("heat.png")
    done = run_mgdn(*WORDS, "linked.toml", *POINTS, "-y")
    assert done.code == 2 and "would overwrite the input heat.png" in done.err
    Path("linked.png").unlink()
    assert contents(scene) == before


def test_points_are_never_written_over(scene, run_mgdn):
    Path("rig.toml").symlink_to("pairs.csv")
    before = contents(scene)
    done = run_mgdn(*WORDS, "rig.toml", *POINTS, "-y")
    assert done.code == 2 and "would overwrite the input pairs.csv" in done.err
    done = run_mgdn(*WORDS, "pairs.toml", "--click")  # its points would be pairs.csv
    assert done.code == 2 and "RIG pairs.csv exists; pass --overwrite" in done.err
    assert contents(scene) == before


@pytest.mark.parametrize("name", ["rig.toml", "rig.png"])
def test_what_exists_is_replaced_only_when_told_so(scene, run_mgdn, name):
    Path(name).write_text("theirs")
    before = contents(scene)
    done = run_mgdn(*WORDS, "rig.toml", *POINTS)
    assert done.code == 2 and f"RIG {name} exists; pass --overwrite" in done.err
    assert contents(scene) == before
    assert run_mgdn(*WORDS, "rig.toml", *POINTS, "-y").code == 0
    read_rig(Path("rig.toml"))
    assert cv2.imread("rig.png") is not None


def test_adding_a_distance_changes_the_rig_it_reads_unasked(scene, run_mgdn):
    done = run_mgdn(*WORDS, "near.toml", *POINTS, "--distance", 2, "--add")
    assert done.code == 2 and "near.toml" in done.err  # there is none to add to
    assert not Path("near.png").exists()
    assert run_mgdn(*WORDS, "rig.toml", *POINTS, "--distance", 9).code == 0
    picture = Path("rig.png").read_bytes()
    Path("rig.png").write_bytes(b"of the first distance")
    assert run_mgdn(*WORDS, "rig.toml", *POINTS, "--distance", 2, "--add").code == 0
    assert [plane.distance_m for plane in read_rig(Path("rig.toml")).plane] == [9, 2]
    assert Path("rig.png").read_bytes() == picture
    shutil.copy("scene.png", "rig.png")
    done = run_mgdn("align", "rig.png", "heat.png", "rig.toml", *POINTS, "--distance", 3, "--add")
    assert done.code == 2 and "would overwrite the input rig.png" in done.err


def test_a_failed_overlay_leaves_the_new_rig_and_the_old_overlay(scene, fill_disk):
    arguments = ("scene.png", "heat.png", Path("rig.toml"), Path("pairs.csv"))
    align_by_points(*arguments)
    before = contents(scene)
    fill_disk(".png")
    with pytest.raises(EndedEarlyError, match=r"rig\.toml is written, but cannot write rig\.png"):
        align_by_points(*arguments, request=RigRequest("crop"), overwrite=True)
    assert read_rig(Path("rig.toml")).area == "crop"
    assert {**contents(scene), "rig.toml": before["rig.toml"]} == before


def test_a_rig_that_cannot_be_written_leaves_both_as_they_were(scene, fill_disk):
    arguments = ("scene.png", "heat.png", Path("rig.toml"), Path("pairs.csv"))
    align_by_points(*arguments)
    before = contents(scene)
    fill_disk(".toml")
    with pytest.raises(UserError, match=r"^cannot write rig\.toml"):
        align_by_points(*arguments, request=RigRequest("crop"), overwrite=True)
    assert contents(scene) == before


def clicked(output, overwrite=False):
    files = RigFiles(output, [], RigRequest(), overwrite, clicks=True)
    pair = read_alignment_pairs("scene.png", "heat.png", InfraredOptions(), 1)[0]
    return ClickSession(pair, files, RigRequest())


def test_clicked_points_that_could_not_be_written_are_told_and_can_be_saved_again(scene, fill_disk):
    session = clicked(Path("rig.toml"))
    fill_disk(".csv")
    with pytest.raises(UserError, match=r"rig\.toml is written, but cannot write rig\.csv"):
        session.save(true_pairs())
    assert session.failure is not None and session.report is None
    assert read_rig(Path("rig.toml")).method == "points"
    fill_disk()
    with pytest.raises(UserError, match="at least 4"):
        session.save(true_pairs()[:3])
    session.save(true_pairs())
    assert session.failure is None and session.report is not None
    assert len(Path("rig.csv").read_text().splitlines()) == 1 + len(PLACES)


def test_a_page_left_without_a_rig_wrote_nothing(scene, fill_disk):
    session = clicked(Path("rig.toml"))
    fill_disk(".toml")
    with pytest.raises(UserError, match=r"cannot write rig\.toml"):
        session.save(true_pairs())
    assert session.failure is None and session.report is None
    assert sorted(contents(scene)) == ["heat.png", "pairs.csv", "scene.png"]


def test_clicking_is_refused_before_the_page_is_served(scene):
    Path("rig.csv").write_text("mine")
    with pytest.raises(UserError, match=r"RIG rig\.csv exists; pass --overwrite"):
        align_by_clicks("scene.png", "heat.png", Path("rig.toml"), on_ready=pytest.fail)
    assert Path("rig.csv").read_text() == "mine"
