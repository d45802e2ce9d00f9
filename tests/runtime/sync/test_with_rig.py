"""Clocks and counts of two cameras that also look elsewhere: the rig file says how."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.progress import Told

from mgdn_edge.runtime.alignment.apply.rig_file import (
    SCHEMA,
    CameraModel,
    CameraRig,
    PlaneHomography,
    Quality,
)
from mgdn_edge.runtime.alignment.apply.rig_text import write_rig
from mgdn_edge.runtime.capture.sources import InfraredOptions
from mgdn_edge.runtime.sync.sync_sources import sync_sources
from mgdn_edge.runtime.synthetic import open_rig

OFFSET_MS = 60
SCENE = f"synthetic://dusk?seed=1&size=80x60&frames=100&yaw=4&ir_bits=16&offset={OFFSET_MS}"


@pytest.fixture
def rig_file(tmp_path) -> Path:
    scene = open_rig(SCENE)
    homography = scene.infrared_camera.homography_to(scene.visible_camera)
    size = (80, 60)
    rig = CameraRig(
        SCHEMA, "points", "fill", size, (0, 0, *size), CameraModel(size), CameraModel(size),
        (PlaneHomography(tuple(tuple(map(float, row)) for row in homography)),),
        Quality(0.5, "truth", 4, 0.9), clock_offset_ms=OFFSET_MS,
    )  # fmt: skip
    write_rig(tmp_path / "rig.toml", rig)
    return tmp_path / "rig.toml"


def test_frames_of_both_cameras_are_told(rig_file):
    told, options = Told(), InfraredOptions(agc="percentile")
    sync_sources(SCENE, SCENE, rig=rig_file, infrared_options=options, progress=told)
    assert (told.steps, told.parts) == ([("watching what moves", None)], 200)


def test_sync_sees_both_views_through_the_rig(run_mgdn, rig_file):
    done = run_mgdn("sync", SCENE, SCENE, "--rig", rig_file, "--json")
    assert done.code == 0, done.err
    assert abs(json.loads(done.out)["offset_ms"] - OFFSET_MS) < 5


def test_a_rigs_own_offset_pairs_and_counts_are_read_where_it_points(run_mgdn, rig_file):
    counts = rig_file.with_name("counts.mkv")
    done = run_mgdn(
        "fuse", SCENE, SCENE, rig_file.with_name("out.mp4"), "--network", "average",
        "--rig", rig_file, "--frames", 5, "--infrared-agc", "percentile",
        "--record-infrared", counts, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["pairing"]["skew"]["max"] < 1
    scene = open_rig(SCENE)
    back = np.linalg.inv(scene.infrared_camera.homography_to(scene.visible_camera))
    for x, y in ((40, 30), (50, 11)):
        across, down, depth = back @ (x, y, 1)
        column, row = round(across / depth), round(down / depth)
        words = ("--at", f"{x},{y}", "--frame", 4, "--json")
        read = json.loads(run_mgdn("temperature", counts, *words).out)
        assert (read["x"], read["y"]) == (column, row)
        assert read["count"] == int(scene.infrared(4).plane[row, column])
    across, _, depth = np.linalg.inv(back) @ (0, 30, 1)
    outside = 0 if across / depth > 1 else 79  # where the infrared picture ends
    missing = run_mgdn("temperature", counts, "--at", f"{outside},30")
    assert missing.code == 2 and "does not see that far" in missing.err
