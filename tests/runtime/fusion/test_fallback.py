"""A fallback fuses with a variant of its own, or says that the bundle has none for it."""

import json

import msgspec
import numpy as np
import pytest
from support.progress import Told

from mgdn_edge.runtime.bundle.manifest import CalibrationProvenance
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.contract import variant_choice
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.engines import engine_plan, engine_session
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.packing.extension import Candidate, extend_bundle
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.whole_file import Output

pytestmark = pytest.mark.export

CPU, TENSORRT = "onnxruntime-cpu", "tensorrt"
WEIGHTS = {CPU: 0.5, TENSORRT: 0.25}  # of the visible plane; float32 has 0.75
SCENE = draw_scene(12, 16)
INT8 = SessionChoice(backend=TENSORRT, precision="int8", fallback=CPU)


@pytest.fixture(autouse=True)
def no_tensorrt(monkeypatch):
    monkeypatch.setitem(engine_plan.BUILDERS, "tensorrt", "no_such_tensorrt")


@pytest.fixture
def lower(tiny_bundle, build_tiny_model, tmp_path):
    """``lower(*backends)``: the tiny bundle with a file of its own called int8 for each backend."""

    def make(*backends):
        with open_bundle(tiny_bundle) as bundle:
            base = bundle.variant("16x12")
            models = {each: build_tiny_model((12, 16), weight=WEIGHTS[each]) for each in backends}
            candidates = [
                Candidate(base, "int8", each, model, model) for each, model in models.items()
            ]
            calibration = CalibrationProvenance("0" * 64, "by hand", "none", (), ())
            output = Output(tmp_path / "lower.mgdn", "OUT", replaces=True)
            extend_bundle(bundle, output, candidates, (), calibration)
        return tmp_path / "lower.mgdn"

    return make


def blend(weight):
    fused = weight * SCENE.visible.astype(float) + (1 - weight) * SCENE.infrared
    return np.round(fused).astype(np.uint8)


def test_the_fallback_takes_the_file_made_for_it(lower):
    said = []
    with open_session(
        lower(TENSORRT, CPU), INT8, size=(12, 16), progress=Told(said=said)
    ) as session:
        assert (session.backend, session.precision) == (CPU, "int8")
        np.testing.assert_array_equal(session.fuse(*SCENE), blend(WEIGHTS[CPU]))
        assert said == [session.execution["fallback"]]


def test_without_a_precision_each_backend_takes_its_own(lower, monkeypatch):
    asked = []

    def defaults(manifest, backend):
        asked.append(backend)
        return {TENSORRT: ["int8", "fp32"], CPU: ["fp32"]}[backend]

    monkeypatch.setattr(variant_choice, "default_precisions", defaults)
    choice = msgspec.structs.replace(INT8, precision=None)
    with open_session(lower(TENSORRT, CPU), choice, size=(12, 16)) as session:
        assert asked == [TENSORRT, CPU]
        assert (session.backend, session.precision) == (CPU, "fp32")
        np.testing.assert_array_equal(session.fuse(*SCENE), blend(0.75))
        assert f"{CPU} in place of {TENSORRT}, in fp32: " in session.execution["fallback"]


def test_a_fallback_without_the_precision_asked_for_is_refused_before_anything_is_tried(
    lower, monkeypatch
):
    tried = []
    monkeypatch.setattr(engine_session, "find_builder", tried.append)
    with pytest.raises(UserError) as caught:
        open_session(lower(TENSORRT), INT8, size=(12, 16))
    assert str(caught.value) == (
        "--fallback onnxruntime-cpu could not take over: network tiny has nothing for precision "
        "int8, size 16x12; it has: dynamic (fp32), 16x12 (fp32), 16x12 (int8 for tensorrt); leave "
        "out --precision int8 to let each backend take its own"
    )
    assert caught.value.exit_code == 2 and tried == []


def test_a_fallback_that_fails_too_says_so(lower):
    choice = SessionChoice(backend=TENSORRT, fallback=TENSORRT, variant="16x12")
    with pytest.raises(DeviceError, match="no_such_tensorrt"):
        open_session(lower(), choice)


def test_the_command_line_says_which_file_it_took(lower, run_mgdn, tmp_path):
    words = f"--backend {TENSORRT} --precision int8 --fallback {CPU} --size 16x12 --json".split()
    both = lower(TENSORRT, CPU)
    done = run_mgdn("bench", "--bundle", both, "--frames", 1, "--warmup", 0, *words)
    (figures,) = json.loads(done.out)["networks"]
    assert (done.code, figures["backend"], figures["precision"]) == (0, CPU, "int8")
    one = lower(TENSORRT)
    done = run_mgdn("bench", "--bundle", one, "--frames", 1, "--warmup", 0, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mgdn: error: --fallback onnxruntime-cpu could not take over")
