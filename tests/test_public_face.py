"""What ``import mgdn_edge`` offers: the names that stay, loaded when they are first used."""

import subprocess
import sys

import numpy as np
import pytest

import mgdn_edge

HEAVY = {"numpy", "cv2", "av", "scipy", "onnxruntime", "msgspec", "typer", "rich"}


def test_every_name_is_there() -> None:
    assert sorted(mgdn_edge.__all__) == mgdn_edge.__all__
    for name in mgdn_edge.__all__:
        assert getattr(mgdn_edge, name).__name__ == name
        assert name in dir(mgdn_edge)


def test_every_name_says_what_it_is() -> None:
    for name in mgdn_edge.__all__:
        assert len((getattr(mgdn_edge, name).__doc__ or "").strip()) > 20, name


def test_a_name_that_is_not_there_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'open_sesion'"):
        mgdn_edge.open_sesion  # noqa: B018 - the access is the test


def test_importing_imports_nothing_heavy() -> None:
    code = f"import sys, mgdn_edge; print(sorted({HEAVY!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_face_is_enough_to_fuse(tmp_path) -> None:
    from mgdn_edge import (
        FuseRequest,
        SessionChoice,
        UserError,
        draw_scene,
        fuse_files,
        open_session,
    )

    scene = draw_scene(48, 64)
    with open_session("mgdn-edge", SessionChoice(threads=1)) as session:
        fused = session.fuse(scene.visible, scene.infrared)
    assert fused.shape == (48, 64) and fused.dtype == np.uint8
    camera = "synthetic://night?seed=1&size=64x48&frames=3"
    request = FuseRequest(camera, camera, str(tmp_path / "o.mp4"), network="average")
    result = fuse_files(request)
    assert result.summary.frames.out == len(result.ledger.rows) == 3
    with pytest.raises(UserError, match="exists; pass --overwrite"):
        fuse_files(request)


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_the_version_is_printed(words: list[str]) -> None:
    for command in (["-c", "from mgdn_edge.cli import main; main()"], ["-m", "mgdn_edge"]):
        done = subprocess.run(
            [sys.executable, *command, *words], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == f"mgdn {mgdn_edge.__version__}"
