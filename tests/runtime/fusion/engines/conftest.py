"""A cache, a builder and plans to make engines with, none of them real."""

import pytest
from support.engine_samples import ORIN, STANDIN, STANDIN_BUILDER

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.fusion.engines.engine_cache import EngineCache
from mgdn_edge.runtime.fusion.engines.engine_plan import plan_engine


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "cache")


@pytest.fixture
def standin(monkeypatch):
    """``standin(ending)``: the stand-in builder is importable and will end so."""
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))

    def choose(ending=""):
        monkeypatch.setenv("MGDN_STANDIN", ending)

    choose()
    choose.folder = str(STANDIN)
    return choose


@pytest.fixture
def make_plan(tiny_bundle):
    """``make_plan(variant, **changes)``: a plan of the tiny bundle for the stand-in on an Orin."""

    def make(variant="16x12", **changes):
        with open_bundle(tiny_bundle) as bundle:
            given = {"builder": STANDIN_BUILDER, "device": ORIN} | changes
            return plan_engine(bundle, bundle.variant(variant), **given)

    return make
