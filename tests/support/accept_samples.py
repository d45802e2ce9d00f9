"""An acceptance that was refused on a board, as nobody has measured it: what its page must hold."""

import numpy as np

from mgdn_edge.runtime.doctor.doctor_report import Finding
from mgdn_edge.runtime.machine.conditions import Conditions
from mgdn_edge.runtime.measure.acceptance.accept_result import (
    SCHEMA,
    AcceptReport,
    AcceptResult,
    Example,
    Fidelity,
    Soak,
    SubjectParity,
    Timing,
    Window,
    judge,
)
from mgdn_edge.runtime.measure.acceptance.verdict import Clause
from mgdn_edge.runtime.measure.truth_quality import TruthQuality
from mgdn_edge.runtime.quality.parity import Parity
from mgdn_edge.runtime.quality.precision_verdict import QualityFigures
from mgdn_edge.runtime.stream.latency import Percentiles

BEFORE = Conditions("2 (MAXN)", (), {"gpu-thermal": 48.0}, {"oc1": 0}, {}, (), (0.2, 0.1, 0.1))
AFTER = Conditions("2 (MAXN)", (), {"gpu-thermal": 71.0}, {"oc1": 3}, {}, (), (1.2, 0.4, 0.2))
TRUTH = TruthQuality(4, 16, 12, 0.86, None, 0.61, 0.017, 0.14, 17.6, 0.68)
QUALITY = QualityFigures(4, 44.1, 41.0, "night 1", 0.998, 0.997, 0.001, {"en": 0.0})
LONG = "/home/someone/a-very-long-folder-name" + "/deeper" * 12


def sample_acceptance() -> AcceptResult:
    generator = np.random.default_rng(3)
    times = Percentiles(4.2, 4.9, 5.6, 9.1, 200, 10)
    parity = [
        SubjectParity(
            precision, size, size, "native", "golden pair",
            Parity(far, 0.01, 60.0, 1.0, 1.0, far <= 1),
        )
        for precision, far in (("fp32", 0.0), ("int8", 3.0))
        for size in ("640x480", "1280x720")
    ]  # fmt: skip
    timings = [
        Timing(
            precision, size, size, times, times, "the GPU's clock", 0.061,
            {"memory": "mapped, the faster", "CUDA graph": "yes"}, (BEFORE, AFTER),
        )
        for precision in ("fp32", "int8")
        for size in ("1280x720", "640x480")
    ]  # fmt: skip
    windows = tuple(Window(5.0 * (i + 1), times, 410.0 + i, 50.0 + i) for i in range(12))
    soak = Soak(
        "int8 640x480", 60.0, 60.0, 900, 15.0, windows, 1.4, 11.0, {"oc1": 3}, ("power cap",),
        (BEFORE, AFTER), True,
    )  # fmt: skip
    planes = generator.integers(0, 256, (4, 48, 64), np.uint8)
    report = AcceptReport(
        schema=SCHEMA,
        verdict="",
        accepted=False,
        complete=True,
        network="mgdn-edge",
        bundle_sha256="ab" * 32,
        backend="tensorrt",
        host="board-7",
        made="2026-11-26 12:00 UTC",
        command=f"mgdn accept {LONG}/scene.mgdn",
        clauses=(
            Clause("machine", "passed", "13 findings of mgdn doctor"),
            Clause("engine fp32 640x480", "passed", f"built, kept in {LONG}"),
            Clause("parity int8 640x480", "failed", "up to 3 levels off the pair, 1 allowed <off>"),
            Clause("latency int8 640x480", "not measured", "needs engine int8 640x480"),
            Clause("soak throttling", "not measured", "no counters", needed=False),
        ),
        findings=(
            Finding("python", "ok", "3.10"),
            Finding("tensorrt", "warning", f"hidden: {LONG}", f"{LONG}/bin/python -m venv"),
        ),
        stated_quality={"en": 6.81, "data": "25 pairs"},
        stated_verdicts=("int8 for tensorrt: accepted, not the default",),
        parity=tuple(parity),
        fidelity=(
            Fidelity("int8", "float32 on the CPU", QUALITY, 0.02, TRUTH, TRUTH, ()),
        ),
        timings=tuple(timings),
        soak=soak,
        versions={"mgdn-edge": "0.1.0", "tensorrt": "10.3.0"},
    )  # fmt: skip
    return AcceptResult(
        judge(report),
        Example("int8", *planes),
        generator.integers(4_000_000, 6_000_000, 900, np.int64),
    )
