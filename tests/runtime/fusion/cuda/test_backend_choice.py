"""Which backend is opened, what is said where it cannot be, and that a fallback is written down."""

import json
import sys

import numpy as np
import pytest
from support.onnxruntime_stand_in import make_onnxruntime
from support.progress import Told
from support.tensorrt_stand_in import make_engine, make_tensorrt

from mgdn_edge.cli import main
from mgdn_edge.runtime.errors import DeviceError, UserError
from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
from mgdn_edge.runtime.fusion.cuda import calls
from mgdn_edge.runtime.fusion.engines import engine_session
from mgdn_edge.runtime.fusion.engines.engine_key import EngineKey
from mgdn_edge.runtime.fusion.engines.engine_parity import open_compared
from mgdn_edge.runtime.fusion.engines.obtain_engine import Engine
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.measure.bench import bench_networks
from mgdn_edge.runtime.picture.drawn_scene import draw_scene
from mgdn_edge.runtime.report.bench_report import write_bench_report
from mgdn_edge.runtime.whole_file import Output

KEY = EngineKey(**{
    field: {"int": 0, "str": "", "bool": False}.get(kind, "none")
    for field, kind in EngineKey.__annotations__.items()
})  # fmt: skip


@pytest.fixture
def no_cuda(monkeypatch):
    """ONNX Runtime as the ``cpu`` extra installs it."""
    module = make_onnxruntime(None, providers=["CPUExecutionProvider"])
    monkeypatch.setattr("onnxruntime.get_available_providers", module.get_available_providers)


@pytest.mark.export
@pytest.mark.parametrize("weight", [0.75, 0.25])
def test_an_engine_is_opened_and_its_picture_compared(
    tiny_bundle, stand_in, monkeypatch, fused_by_hand, weight
):
    said, choice = [], SessionChoice(backend="tensorrt", variant="16x12")

    def open_engine_session(bundle, variant, start, *, cache, size, filter, progress):
        assert (size, filter) == (None, None)
        progress.tell("building an engine")
        data = make_engine((12, 16), weight=weight)
        engine = Engine(data, KEY, "tiny", variant.name, "built", 3.2, None, None, None)
        start_here = lambda engine: start(engine, make_tensorrt(stand_in))  # noqa: E731
        return open_compared(engine, cache, bundle, variant, start_here)

    monkeypatch.setattr(calls, "load_bindings", lambda: stand_in)
    monkeypatch.setattr(engine_session, "open_engine_session", open_engine_session)
    if weight != 0.75:  # the bundle's
        with pytest.raises(DeviceError, match="differs from the golden pair") as caught:
            open_session(tiny_bundle, choice)
        assert caught.value.exit_code == 3
        return
    scene = draw_scene(12, 16)
    with open_session(tiny_bundle, choice, progress=Told(said=said)) as session:
        assert said == ["building an engine"]
        np.testing.assert_array_equal(session.fuse(*scene), fused_by_hand(*scene))
        assert session.backend == "tensorrt" and session.variant == "16x12"
        told = session.execution["engine"]
        assert told == "built, 0.0 MiB, made in 3 s, 0 of 1 levels off its golden pair"


def test_a_backend_that_cannot_run_is_not_replaced(no_cuda):
    with pytest.raises(DeviceError, match="built without CUDA") as caught:
        open_session("mgdn-edge", SessionChoice(backend="onnxruntime-cuda"))
    assert str(caught.value).endswith("; to go on without: --fallback onnxruntime-cpu")


def test_frames_of_several_sizes_are_no_engine():
    with pytest.raises(UserError, match="fuse those of each size by themselves"):
        open_session("mgdn-edge", SessionChoice(backend="tensorrt"))


@pytest.mark.native
@pytest.mark.parametrize(
    ("words", "filtered"),
    [((), "native"), (("--filter", "native"), "native"), (("--filter", "body"), "function body")],
)
def test_fuse_takes_the_filter_its_hints_name(monkeypatch, capfd, tmp_path, words, filtered):
    import cv2

    for name in ("vi.png", "ir.png"):
        cv2.imwrite(str(tmp_path / name), np.full((24, 32), 90, np.uint8))
    files = [str(tmp_path / name) for name in ("vi.png", "ir.png", "out.png")]
    monkeypatch.setattr(sys, "argv", ["mgdn", "fuse", *files, "--json", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert json.loads(capfd.readouterr().out)["filter_implementation"] == filtered


def test_a_fallback_is_taken_when_asked_for_and_written_down(no_cuda, tmp_path):
    result = bench_networks(
        ["mgdn-edge"],
        SessionChoice(backend="onnxruntime-cuda", fallback="onnxruntime-cpu"),
        size=(16, 24),
        frames=1,
        warmup=0,
    )
    (figures,) = result.report.networks
    assert figures.backend == "onnxruntime-cpu"
    told = figures.execution["fallback"]
    assert told.startswith("onnxruntime-cpu in place of onnxruntime-cuda: this ONNX Runtime")
    write_bench_report(Output(tmp_path / "bench.html", "--report"), result, "mgdn bench")
    assert "onnxruntime-cpu in place of onnxruntime-cuda" in (tmp_path / "bench.html").read_text()


def test_no_fallback_is_taken_where_none_is_needed(no_cuda):
    with open_session("mgdn-edge", SessionChoice(fallback="onnxruntime-cuda")) as session:
        assert session.backend == "onnxruntime-cpu" and "fallback" not in session.execution


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backend": "tensorr"}, "--backend tensorr is unknown; did you mean tensorrt?"),
        ({"backend": "cuda"}, "known: onnxruntime-cpu, onnxruntime-cuda, tensorrt"),
        ({"fallback": "cpu"}, "--fallback cpu is unknown"),
        ({"backend": "tensorrt", "threads": 2}, "--threads 2 is for the CPU"),
    ],
)
def test_wrong_choices_are_one_sentence(options, sentence):
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")) as caught:
        open_session("mgdn-edge", SessionChoice(**options))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("command", ["fuse", "bench"])
def test_the_command_line_ends_with_code_3_or_falls_back(
    no_cuda, monkeypatch, capfd, tmp_path, command
):
    import cv2

    for name in ("vi.png", "ir.png"):
        cv2.imwrite(str(tmp_path / name), np.full((24, 32), 90, np.uint8))
    files = [str(tmp_path / name) for name in ("vi.png", "ir.png", "out.png")]
    words = ["fuse", *files] if command == "fuse" else ["bench", "--frames", "1", "--warmup", "0"]
    words += ["--backend", "onnxruntime-cuda", "--json"]
    monkeypatch.setattr(sys, "argv", ["mgdn", *words])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capfd.readouterr()
    assert (end.value.code, out) == (3, "")
    assert err.startswith("mgdn: error: this ONNX Runtime") and err.count("\n") == 1
    monkeypatch.setattr(sys, "argv", ["mgdn", *words, "--fallback", "onnxruntime-cpu"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    said = json.loads(capfd.readouterr().out)
    figures = said if command == "fuse" else said["networks"][0]
    assert "in place of onnxruntime-cuda" in figures["execution"]["fallback"]


def test_the_table_says_it_too(no_cuda, monkeypatch, capfd):
    words = "bench --size 24x16 --frames 1 --warmup 0 --backend onnxruntime-cuda"
    argv = ["mgdn", *words.split(), "--fallback", "onnxruntime-cpu"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit):
        main()
    assert "mgdn-edge, fallback: onnxruntime-cpu in place of" in capfd.readouterr().out
