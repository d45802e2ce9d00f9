"""A session on an engine, on a GPU that is a stand-in; nothing may be left when a test ends."""

import numpy as np
import pytest
from support.cuda_stand_in import CudaStandIn, check_freed
from support.tensorrt_stand_in import make_engine, make_tensorrt

from mgdn_edge.runtime.fusion.backends.tensorrt import TensorrtSession
from mgdn_edge.runtime.fusion.cuda import session as cuda_session
from mgdn_edge.runtime.fusion.cuda.calls import Cuda
from mgdn_edge.runtime.picture.drawn_scene import draw_scene


def expected(visible, infrared, weight=0.75):
    fused = weight * visible.astype(float) + (1 - weight) * infrared
    return np.round(fused).astype(np.uint8)


@pytest.fixture(scope="session")
def fused_by_hand():
    """``fused_by_hand(visible, infrared)``: what the stand-in engine must give."""
    return expected


@pytest.fixture
def stand_in(monkeypatch):
    """A discrete GPU whose simulated clock the session reads."""
    return use_clock(monkeypatch, CudaStandIn())


@pytest.fixture
def make_stand_in(monkeypatch):
    return lambda **options: use_clock(monkeypatch, CudaStandIn(**options))


def use_clock(monkeypatch, cuda):
    clock = lambda: round(cuda.device.now * 1e9)  # noqa: E731
    monkeypatch.setattr(cuda_session.time, "perf_counter_ns", clock)
    return cuda


@pytest.fixture
def open_engine(stand_in):
    """``open_engine(engine, cuda=, device=, **options)``; closed and checked for leaks."""
    opened = []

    def open_session(engine=None, cuda=stand_in, device=0, version="10.3.0", **options):
        session = TensorrtSession(
            make_engine() if engine is None else engine,
            make_tensorrt(cuda, version),
            network="tiny",
            variant="16x12",
            precision="fp16",
            cuda=Cuda(device, cuda),
            **options,
        )
        opened.append((session, cuda))
        return session

    yield open_session
    while opened:
        session, cuda = opened.pop()
        session.close()
        lost = session._cuda.lost
        del session
        if not lost:
            check_freed(cuda)


@pytest.fixture
def scenes():
    """Eight different pairs of the stand-in engine's size."""
    return [draw_scene(12, 16, phase=index / 8, seed=index) for index in range(8)]
