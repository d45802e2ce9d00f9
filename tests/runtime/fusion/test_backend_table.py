"""Every backend opens through one table; what is too far off is refused by whoever shows it."""

import numpy as np
import pytest

from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion import backend_table
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession
from mgdn_edge.runtime.fusion.contract.backend_names import BACKENDS
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.picture.drawn_scene import draw_scene


def test_every_backend_is_in_the_table():
    assert tuple(backend_table.BACKEND_TABLE) == BACKENDS


@pytest.fixture
def closed(monkeypatch):
    """The sessions that were closed."""
    found, close = [], OnnxRuntimeSession.close
    monkeypatch.setattr(
        OnnxRuntimeSession, "close", lambda self: (found.append(self), close(self))[1]
    )
    return found


@pytest.mark.export
@pytest.mark.parametrize(("off", "refused"), [(0, False), (1, False), (2, True)])
def test_a_variant_is_opened_compared_and_not_judged(
    tiny_bundle, closed, monkeypatch, off, refused
):
    fuse = OnnxRuntimeSession.fuse
    monkeypatch.setattr(
        OnnxRuntimeSession, "fuse", lambda self, *planes: fuse(self, *planes) + np.uint8(off)
    )
    with open_bundle(tiny_bundle) as bundle:
        opened = backend_table.open_variant(bundle, bundle.variant("16x12"))
    assert (opened.reference, opened.parity.max_error) == ("golden pair", off)
    assert opened.description.startswith("opened in ") and closed == []
    assert opened.session.fuse(*draw_scene(12, 16)).shape == (12, 16)
    if refused:
        with pytest.raises(UserError, match="differs by up to 2 levels; 1 are allowed"):
            opened.trust()
    else:
        opened.trust().close()
    assert closed == [opened.session]


@pytest.mark.export
def test_what_breaks_while_it_is_compared_is_closed(tiny_bundle, closed, monkeypatch):
    def interrupt(self, *planes):
        raise KeyboardInterrupt

    monkeypatch.setattr(OnnxRuntimeSession, "fuse", interrupt)
    with open_bundle(tiny_bundle) as bundle, pytest.raises(KeyboardInterrupt):
        backend_table.open_variant(bundle, bundle.variant("16x12"))
    assert len(closed) == 1


@pytest.mark.export
def test_threads_reach_the_session(tiny_bundle):
    with open_bundle(tiny_bundle) as bundle:
        variant = bundle.variant("16x12")
        with pytest.raises(UserError, match="threads=0"):
            backend_table.open_variant(bundle, variant, SessionChoice(threads=0))


def test_the_gpu_has_a_backend_only_where_there_is_a_gpu(monkeypatch):
    def none():
        raise DeviceError("no NVIDIA driver here")

    monkeypatch.setattr(backend_table, "read_device", lambda: "a GPU")
    assert backend_table.choose_gpu_backend() == "tensorrt"
    monkeypatch.setattr(backend_table, "read_device", none)
    with pytest.raises(DeviceError, match="no NVIDIA driver"):
        backend_table.choose_gpu_backend()
