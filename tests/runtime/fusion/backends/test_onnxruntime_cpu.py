import sys
import threading

import msgspec
import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import OnnxRuntimeSession, usable_cpus
from mgdn_edge.runtime.picture.drawn_scene import draw_scene

pytestmark = pytest.mark.export  # models are built with onnx


def expected(visible, infrared, weight=0.75):
    return np.round(weight * visible.astype(float) + (1 - weight) * infrared).astype(np.uint8)


@pytest.fixture
def open_tiny(build_tiny_model, tiny_spec):
    opened = []

    def open_session(size=None, threads=None, slots=2, **model):
        data = build_tiny_model(size, **model)
        session = OnnxRuntimeSession(
            data, spec=tiny_spec, variant="tried", size=size, threads=threads, slots=slots
        )
        opened.append(session)
        return session

    yield open_session
    for session in opened:
        session.close()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (12, 16), (101, 131)])
def test_frames_of_any_size_are_fused_by_a_dynamic_graph(open_tiny, size):
    scene = draw_scene(*size)
    fused = open_tiny().fuse(scene.visible, scene.infrared)
    np.testing.assert_array_equal(fused, expected(*scene))


def test_slots_are_read_and_written_in_place_frame_after_frame(open_tiny):
    session = open_tiny()
    with session.acquire((8, 8)) as slot:
        out = slot.fused
        for level in (0, 100, 255):
            slot.visible[...] = level
            slot.infrared[...] = 255 - level
            session.submit(slot)
            session.collect(slot)
            assert slot.fused is out
            assert (out == round(0.75 * level + 0.25 * (255 - level))).all()
            assert 0 < slot.started_ns < slot.finished_ns


def test_slots_in_flight_do_not_share_memory(open_tiny):
    session = open_tiny(slots=3)
    slots = [session.acquire((32, 32)) for _ in range(3)]
    for level, slot in enumerate(slots):
        slot.visible[...] = slot.infrared[...] = 10 * level
        session.submit(slot)
    for level, slot in reversed(list(enumerate(slots))):
        session.collect(slot)
        assert (slot.fused == 10 * level).all()
        slot.release()


def test_a_change_of_size_keeps_old_slots_valid(open_tiny):
    session = open_tiny()
    old = session.acquire((8, 8))
    old.visible[...] = old.infrared[...] = 7
    session.submit(old)
    with session.acquire((16, 4)) as new:
        new.visible[...] = new.infrared[...] = 9
        session.submit(new)
        session.collect(new)
        assert (new.fused == 9).all()
    session.collect(old)
    assert (old.fused == 7).all()
    old.release()


def test_submit_returns_before_the_frame_is_fused(open_tiny, monkeypatch):
    session = open_tiny()
    gate, run = threading.Event(), session._run

    def wait_then_run(slot, binding):
        gate.wait(10)
        run(slot, binding)

    monkeypatch.setattr(session, "_run", wait_then_run)
    with session.acquire((4, 4)) as slot:
        session.submit(slot)
        assert not slot.pending.done()
        gate.set()
        session.collect(slot)


def test_replaced_views_are_noticed(open_tiny):
    session = open_tiny()
    with session.acquire((4, 4)) as slot:
        session.submit(slot)
        session.collect(slot)
        slot.visible = np.zeros((4, 4), np.uint8)
        with pytest.raises(RuntimeError, match="write into them"):
            session.submit(slot)


def test_a_static_graph_takes_only_its_size_and_says_what_to_type(open_tiny):
    session = open_tiny((12, 16))
    with pytest.raises(UserError, match=r"frames are 12x16 .* only 16x12; leave out --variant"):
        session.acquire((16, 12))
    scene = draw_scene(12, 16)
    np.testing.assert_array_equal(session.fuse(*scene), expected(*scene))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_the_pixels(open_tiny, threads):
    scene = draw_scene(64, 64)
    np.testing.assert_array_equal(open_tiny(threads=threads).fuse(*scene), expected(*scene))


def test_zero_threads_are_refused(open_tiny):
    with pytest.raises(UserError, match="threads=0"):
        open_tiny(threads=0)


def test_default_threads_are_at_least_one():
    assert usable_cpus() >= 1


def test_another_spec_or_none_in_the_metadata_is_refused(open_tiny, tiny_spec):
    other = msgspec.structs.replace(tiny_spec, multiple=4)
    with pytest.raises(UserError, match="another FusionSpec"):
        open_tiny(spec=other)
    with pytest.raises(UserError, match="no valid FusionSpec"):
        open_tiny(spec=None)


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"not a model"])
def test_bytes_that_are_no_model_are_one_clear_error(tiny_spec, data):
    with pytest.raises(UserError, match="variant tried") as caught:
        OnnxRuntimeSession(data, spec=tiny_spec, variant="tried")
    assert "\n" not in str(caught.value)


def test_a_truncated_model_is_refused(build_tiny_model, tiny_spec):
    data = build_tiny_model()
    for length in range(0, len(data), 7):
        with pytest.raises(UserError, match="variant tried"):
            OnnxRuntimeSession(data[:length], spec=tiny_spec, variant="tried")


def test_a_model_of_another_size_than_stated_is_refused(build_tiny_model, tiny_spec):
    for built, stated in ((None, (12, 16)), ((12, 16), None), ((12, 16), (16, 12))):
        with pytest.raises(UserError, match="planes of the variant's size"):
            OnnxRuntimeSession(
                build_tiny_model(built), spec=tiny_spec, variant="tried", size=stated
            )


@pytest.mark.parametrize("location", ["secret.bin", "/etc/hostname", "*/_ORT_MEM_ADDR_/*"])
def test_weights_outside_the_model_are_never_read(
    build_tiny_model, tiny_spec, tmp_path, monkeypatch, location
):
    (tmp_path / "secret.bin").write_bytes(np.float32(1).tobytes())
    monkeypatch.chdir(tmp_path)
    data = build_tiny_model(external=location)
    with pytest.raises(UserError, match="keeps weights outside"):
        OnnxRuntimeSession(data, spec=tiny_spec, variant="tried")


def test_without_onnxruntime_the_error_names_the_line_to_type(open_tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'mgdn-edge\[cpu\]'"):
        open_tiny()


def test_closing_twice_is_harmless(open_tiny):
    session = open_tiny()
    session.close()
    session.close()


def test_a_node_that_fails_while_fusing_is_one_clear_error(tiny_spec, build_tiny_model):
    import onnx
    from onnx import helper

    model = onnx.load_from_string(build_tiny_model())
    cast = model.graph.node[-1]
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [1, 1, 7, -1])
    model.graph.initializer.append(shape)
    cast.output[0] = "cast"
    model.graph.node.append(helper.make_node("Reshape", ["cast", "shape"], ["fused"]))
    session = OnnxRuntimeSession(
        model.SerializeToString(), spec=tiny_spec, variant="tried", size=None
    )
    scene = draw_scene(5, 5)
    with session, pytest.raises(UserError, match="could not fuse a 5x5 frame with variant tried"):
        session.fuse(scene.visible, scene.infrared)
