"""mgdn align and mgdn fuse --rig from the command line."""

import csv
import json
from dataclasses import dataclass

import av
import cv2
import numpy as np
import pytest

from mgdn_edge.runtime.alignment.rig_file import read_rig
from mgdn_edge.runtime.synthetic import open_rig

SCENE = "synthetic://day?seed=6&size=320x180&ir_size=128x96&ir_fov=44&yaw=1.5&roll=1&frames=8"


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """A file of true point pairs of the scene."""
    rig = open_rig(SCENE)
    truth = rig.infrared_camera.homography_to(rig.visible_camera)
    infrared = np.random.default_rng(0).uniform((0, 0), (127, 95), (9, 2))
    visible = cv2.perspectiveTransform(infrared[None], truth)[0]
    path = tmp_path_factory.mktemp("points") / "points.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x_vis", "y_vis", "x_ir", "y_ir"])
        writer.writerows(np.hstack([visible, infrared]).tolist())
    return path


def test_an_unaligned_mis_sized_pair_is_fused_by_points(mgdn_here, tmp_path, points):
    rig = tmp_path / "rig.toml"
    done = mgdn_here("align", SCENE, SCENE, rig, "--points", points)
    assert done.code == 0, done.err
    assert "320x180, by points" in done.out and "--area crop" in done.out
    assert cv2.imread(str(tmp_path / "rig.png")).shape == (180, 640, 3)
    out = tmp_path / "out.mp4"
    done = mgdn_here("fuse", SCENE, SCENE, out, "--rig", rig, "--network", "average", "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["size"] == "320x180" and summary["frames"]["out"] == 8
    assert summary["stages"]["align"]["p50"] > 0
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (320, 180)


def test_fused_people_stand_where_both_cameras_see_them(mgdn_here, tmp_path, points):
    """A rig that is right brings a person's heat onto the person; a wrong one does not."""
    rig_path = tmp_path / "rig.toml"
    mgdn_here("align", SCENE, SCENE, rig_path, "--points", points)
    moved = tmp_path / "moved.toml"
    text = rig_path.read_text()
    rig = read_rig(rig_path)
    shift = rig.plane[0].homography[0][2]
    moved.write_text(text.replace(repr(shift), repr(shift + 40), 1))
    night = SCENE.replace("day", "night")  # people are warm against a cool street
    scene = open_rig(night)
    truth = scene.truth(0)
    contrast = {}
    for name, path in (("right", rig_path), ("wrong", moved)):
        out = tmp_path / f"{name}.png"
        done = mgdn_here(
            "fuse", night, night, out, "--rig", path, "--network", "average", "--frames", 1
        )
        assert done.code == 0, done.err
        luma = cv2.imread(str(out), 0).astype(float) - 0.5 * scene.visible(0).y
        near = cv2.dilate(truth.person.astype(np.uint8), np.ones((15, 15))) > 0
        contrast[name] = luma[truth.person].mean() - luma[near & ~truth.person].mean()
    assert contrast["right"] > 2 * abs(contrast["wrong"]) and contrast["right"] > 5


def test_crop_and_working_size(mgdn_here, tmp_path, points):
    rig = tmp_path / "rig.toml"
    words = ("align", SCENE, SCENE, rig, "--points", points, "--json")
    report = json.loads(mgdn_here(*words, "--area", "crop").out)
    assert report["coverage"] == pytest.approx(1, abs=0.01)
    assert report["working_size"] == report["view"][2:]
    out = tmp_path / "out.png"
    done = mgdn_here("fuse", SCENE, SCENE, out, "--rig", rig, "--network", "average", "--frames", 1)
    assert done.code == 0, done.err
    assert cv2.imread(str(out)).shape[1::-1] == tuple(report["working_size"])
    report = json.loads(mgdn_here(*words, "-y", "--size", "64x48").out)
    assert report["working_size"] == [64, 48]


def test_a_rig_holds_homographies_of_several_distances(mgdn_here, tmp_path, points):
    rig = tmp_path / "rig.toml"
    words = ("align", SCENE, SCENE, rig, "--points", points)
    assert mgdn_here(*words, "--distance", 30).code == 0
    near = tmp_path / "near.csv"
    lines = [line.split(",") for line in points.read_text().splitlines()]
    shifted = [[str(float(line[0]) + 6), *line[1:]] for line in lines[1:]]
    near.write_text("\n".join(",".join(line) for line in [lines[0], *shifted]))
    words = ("align", SCENE, SCENE, rig, "--points", near, "--add")
    assert "say --distance" in mgdn_here(*words).err
    assert mgdn_here(*words, "--distance", 3).code == 0
    assert mgdn_here(*words, "--distance", 3).code == 0  # the same one again takes its place
    read = read_rig(rig)
    assert [plane.distance_m for plane in read.plane] == [30, 3]
    assert read.homography(4)[0, 2] == pytest.approx(read.homography(20)[0, 2] + 6, abs=0.1)
    out = tmp_path / "o.png"
    words = ("fuse", SCENE, SCENE, out, "--rig", rig, "--frames", 1, "--network", "average", "-y")
    pictures = []
    for metres in (3, 30):
        assert mgdn_here(*words, "--distance", metres).code == 0
        pictures.append(cv2.imread(str(out)))
    assert (pictures[0] != pictures[1]).mean() > 0.1


def test_the_scene_alone_aligns_it(mgdn_here, tmp_path):
    rig = tmp_path / "rig.toml"
    done = mgdn_here("align", SCENE, SCENE, rig, "--frames", 2)
    assert done.code == 0, done.err
    assert "confidence" in done.out
    scene = open_rig(SCENE)
    truth = scene.infrared_camera.homography_to(scene.visible_camera)
    corners = np.array([[[5.0, 5], [120, 5], [120, 90], [5, 90]]])
    got, wanted = (
        cv2.perspectiveTransform(corners, m) for m in (read_rig(rig).homography(), truth)
    )
    assert np.linalg.norm(got - wanted, axis=2).mean() < 3


def test_a_refusal_writes_nothing(mgdn_here, tmp_path):
    elsewhere = tmp_path / "elsewhere.png"
    cv2.imwrite(str(elsewhere), np.rot90(open_rig(SCENE).infrared(0).plane))
    done = mgdn_here("align", SCENE, elsewhere, tmp_path / "rig.toml", "--frames", 1)
    assert done.code == 2 and done.err.startswith("mgdn: error: not aligned: ")
    assert done.err.count("\n") == 1 and list(tmp_path.iterdir()) == [elsewhere]


@dataclass
class Wrong:
    words: tuple
    message: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(("fuse", SCENE, SCENE, "o.mp4", "--rig", "none.toml"), "cannot read the rig"),
        Wrong(("fuse", SCENE, SCENE, "o.mp4"), "mgdn align measures it"),
        Wrong(("fuse", SCENE, SCENE, "o.mp4", "--distance", "3"), "pass --rig"),
        Wrong(("align", SCENE, SCENE, "rig.png"), "does not end in .toml"),
        Wrong(("align", SCENE, SCENE, "rig.toml", "--points", "none.csv"), "cannot read --points"),
        Wrong(("align", SCENE, SCENE, "rig.toml", "--size", "big"), "--size big is not"),
        Wrong(("align", "none.mp4", SCENE, "rig.toml"), "does not exist"),
        Wrong(("align", SCENE, SCENE, "no/rig.toml"), "mkdir -p no"),
    ],
    ids=lambda wrong: " ".join(map(str, wrong.words[3:])),
)
def test_wrong_words(mgdn_here, tmp_path, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    done = mgdn_here(*wrong.words)
    assert done.code == 2 and wrong.message in done.err and done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_rig_of_other_cameras_is_refused(mgdn_here, tmp_path, points):
    rig = tmp_path / "rig.toml"
    mgdn_here("align", SCENE, SCENE, rig, "--points", points)
    other = SCENE.replace("128x96", "160x120")
    done = mgdn_here("fuse", SCENE, other, tmp_path / "o.mp4", "--rig", rig)
    assert done.code == 2 and "the rig was measured with 128x96" in done.err
    assert not (tmp_path / "o.mp4").exists()


def test_full_hd_with_a_small_thermal_camera(mgdn_here, tmp_path):
    """A 1920x1080 picture and a 256x192 one that sees its middle, at two working sizes."""
    draw = np.random.default_rng(1)
    scene = cv2.resize(draw.integers(0, 256, (27, 48), np.uint8), (1920, 1080))
    truth = np.array([[5.2, 0.1, 290], [-0.05, 5.1, 60], [1e-5, 0, 1]])
    infrared = cv2.warpPerspective(255 - scene, np.linalg.inv(truth), (256, 192))
    visible_path, infrared_path = tmp_path / "vi.png", tmp_path / "ir.png"
    cv2.imwrite(str(visible_path), cv2.merge([scene, scene, scene]))
    cv2.imwrite(str(infrared_path), infrared)
    there = np.array([[10, 10], [240, 15], [235, 180], [12, 170], [120, 90], [60, 130]], float)
    seen = cv2.perspectiveTransform(there[None], truth)[0]
    points = tmp_path / "points.json"
    points.write_text(json.dumps(np.hstack([seen, there]).tolist()))
    rig, out = tmp_path / "rig.toml", tmp_path / "out.png"
    for size, options in ((None, ()), ((640, 360), ("--size", "640x360"))):
        words = ("align", visible_path, infrared_path, rig, "-y", "--points", points, *options)
        assert mgdn_here(*words).code == 0
        words = ("fuse", visible_path, infrared_path, out, "--rig", rig, "--network=average", "-y")
        assert mgdn_here(*words).code == 0
        fused = cv2.imread(str(out), 0)
        assert fused.shape[::-1] == (size or (1920, 1080))
        # The reversed copy cancels the scene where it lies on it, and only there.
        corners = cv2.perspectiveTransform(np.array([[[16.0, 16], [240, 176]]]), truth)[0]
        (x0, y0), (x1, y1) = (corners * fused.shape[1] / 1920).astype(int)
        assert np.abs(fused[y0:y1, x0:x1].astype(int) - 127).mean() < 4
        assert fused[:, : x0 // 2].std() > 30
