"""An engine shows pictures only after one of them was compared."""

from pathlib import Path

import numpy as np
import pytest
from support.engine_samples import PLENTY

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.fusion.engines.engine_cache import read_engine_record
from mgdn_edge.runtime.fusion.engines.engine_parity import open_compared
from mgdn_edge.runtime.fusion.engines.obtain_engine import obtain_engine

STATIC, DYNAMIC = "16x12", "dynamic"


class EngineSession(OnnxRuntimeSession):
    """Stands for a deserialised engine: the model on the CPU, ``error`` levels off at a pixel."""

    error, failing, closed = 0, False, 0

    def _run(self, slot, binding):
        if self.failing:
            raise DeviceError("the engine does not run")
        super()._run(slot, binding)
        pixel = int(slot.fused[0, 0])
        slot.fused[0, 0] = np.uint8(pixel + (self.error if pixel < 128 else -self.error))

    def close(self):
        super().close()
        type(self).closed += 1


@pytest.fixture
def opened(standin, make_plan, cache, tiny_bundle):
    """``opened(variant, error, failing)`` -> the session class and what came of it."""

    def go(variant, **behaviour):
        kind = type("Session", (EngineSession,), behaviour | {"closed": 0})
        size = None if variant == STATIC else (9, 20)
        standin("" if variant == STATIC else "dynamic")
        engine = obtain_engine(make_plan(variant, size=size), cache, free=PLENTY)
        with open_bundle(tiny_bundle) as bundle:
            chosen = bundle.variant(variant)

            def open_session(given):
                assert given.data == engine.data
                model = bundle.read(chosen.file)
                session_size = engine.size if variant == STATIC else None
                return kind(model, spec=bundle.manifest.spec, variant=variant, size=session_size)

            try:
                return kind, engine, open_compared(engine, cache, bundle, chosen, open_session)
            except DeviceError as error:
                return kind, engine, error

    return go


@pytest.mark.parametrize(("variant", "reference"), [(STATIC, "golden pair"), (DYNAMIC, "CPU")])
@pytest.mark.parametrize("error", [0, 1])
def test_an_engine_that_agrees_is_marked(opened, cache, variant, reference, error):
    kind, engine, compared = opened(variant, error=error)
    assert engine.verified is None and kind.closed == 0
    compared.trust().close()
    verified = read_engine_record(engine.path).verified
    assert (verified.reference, verified.max_error) == (reference, error)
    assert (compared.reference, compared.parity.max_error) == (reference, error)
    told = f"{error} of 1 levels off its {reference}"
    assert told in compared.description and told in compared.session.execution["engine"]


@pytest.mark.parametrize("variant", [STATIC, DYNAMIC])
def test_one_that_does_not_is_refused_and_stays_unmarked(opened, variant):
    kind, engine, compared = opened(variant, error=2)
    assert kind.closed == 0 and compared.parity.max_error == 2
    with pytest.raises(DeviceError, match="by up to 2 levels; 1 are allowed") as caught:
        compared.trust()
    assert caught.value.exit_code == 3 and str(engine.path) in str(caught.value)
    assert kind.closed == 1
    assert read_engine_record(engine.path).verified is None
    assert "levels off" not in compared.description


def test_one_that_fails_is_closed(opened):
    kind, engine, error = opened(STATIC, failing=True)
    assert str(error) == "the engine does not run"
    assert kind.closed == 1 and read_engine_record(engine.path).verified is None


def test_the_mark_is_found_at_the_next_start_and_parity_seen_again(opened, cache):
    opened(STATIC)[2].trust().close()
    _, engine, compared = opened(STATIC, error=1)
    compared.trust().close()
    assert engine.origin == "cached" and engine.verified.max_error == 0
    assert "1 of 1 levels off" in compared.description
    assert read_engine_record(engine.path).verified == engine.verified


def test_an_engine_that_is_not_kept_is_verified_too(opened, monkeypatch, cache):
    monkeypatch.setattr(cache, "folder", Path("/proc/mgdn"))
    monkeypatch.setattr(cache, "engines", Path("/proc/mgdn/engines"))
    _, engine, compared = opened(STATIC)
    compared.trust().close()
    assert engine.path is None and "0 of 1 levels off" in compared.description
