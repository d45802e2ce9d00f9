"""Acceptances of a tiny network on small drawn scenes: every clause, in a second or two."""

import pytest

from mgdn_edge.runtime.doctor.doctor_report import DoctorReport, Finding
from mgdn_edge.runtime.measure.acceptance import accept, fidelity, soak

FINDINGS = (Finding("python", "ok", "3.10"), Finding("tensorrt", "warning", "hidden", "type this"))


@pytest.fixture
def quick(monkeypatch):
    """One small scene, frames large enough for a soak of moments, and a doctor who is asked once.

    ``tests/runtime/doctor/test_examine_machine.py`` asks the real one.
    """
    monkeypatch.setattr(fidelity, "SCENE", "synthetic://night?seed={seed}&frames=60&size=320x240")
    monkeypatch.setattr(fidelity, "SEEDS", (1,))
    monkeypatch.setattr(fidelity, "NUMBERS", (20,))
    monkeypatch.setattr(accept, "examine_machine", lambda: DoctorReport(True, FINDINGS))
    # A busy machine must not fail a test.
    monkeypatch.setattr(soak, "MOST_DRIFT", 1000.0)
