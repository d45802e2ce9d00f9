"""The quality clause: equal pictures pass, and each limit is noticed when it is broken."""

import msgspec
import numpy as np
import pytest
from support.progress import Told

from mgdn_edge.runtime.bundle.graph_facts import decode_graph_facts
from mgdn_edge.runtime.bundle.network_names import packaged_bundles
from mgdn_edge.runtime.bundle.reader import open_bundle
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.measure.acceptance import fidelity
from mgdn_edge.runtime.measure.acceptance.fidelity import (
    find_refusals,
    measure_fidelity,
    open_reference,
)
from mgdn_edge.runtime.measure.acceptance.verdict import NotMeasured
from mgdn_edge.runtime.quality.precision_verdict import EQUAL_PSNR


class Shifted:
    """A session that adds levels to what another fuses."""

    precision = "int8"

    def __init__(self, session, levels):
        self.session, self.levels = session, levels

    def fuse(self, visible, infrared):
        fused = self.session.fuse(visible, infrared)
        return np.clip(fused.astype(int) + self.levels, 0, 255).astype(np.uint8)


@pytest.fixture
def average():
    with open_session("average") as session:
        yield session


def test_equal_pictures_pass_and_every_step_is_told(quick, average):
    told = Told()
    found, example = measure_fidelity(average, average, "itself", told)
    assert found.refusals == () and found.differing == 0
    assert found.quality.psnr_worst == EQUAL_PSNR and found.truth == found.reference_truth
    assert told.parts == 3 and found.truth.persons > 0
    np.testing.assert_array_equal(example.fused, example.reference)


@pytest.mark.parametrize(("levels", "refused"), [(1, False), (4, True)])
def test_a_shift_of_brightness_is_noticed(quick, average, levels, refused):
    found, _ = measure_fidelity(Shifted(average, levels), average, "")
    assert bool(found.refusals) == refused
    if refused:
        assert any("brighter in the mean" in sentence for sentence in found.refusals)


def test_another_network_is_noticed(quick, average):
    with open_session("laplacian") as other:
        found, _ = measure_fidelity(other, average, "")
    assert any("38 is needed" in each for each in found.refusals)
    assert any("SSIM" in each for each in found.refusals)


@pytest.fixture(scope="module")
def sound():
    with open_session("average") as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "SCENE", "synthetic://night?seed={seed}&frames=60&size=160x120")
        patch.setattr(fidelity, "SEEDS", (1,))
        patch.setattr(fidelity, "NUMBERS", (20,))
        return measure_fidelity(session, session, "itself")[0]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("person_contrast", -0.03, "contrast of people is"),
        ("text_contrast", -0.03, "contrast of text is"),
        ("noise_gain", 0.06, "noise gain is"),
        ("overshoot", 0.03, "overshoot is"),
    ],
)
def test_what_is_lost_on_truth_is_refused_and_what_is_gained_is_not(sound, name, change, words):
    reference = msgspec.structs.replace(
        sound.reference_truth, person_contrast=0.5, text_contrast=0.5, noise_gain=1.0, overshoot=0.1
    )
    for factor in (1, -1):
        truth = msgspec.structs.replace(
            reference, **{name: getattr(reference, name) + factor * change}
        )
        changed = msgspec.structs.replace(sound, truth=truth, reference_truth=reference)
        found = find_refusals(changed)
        assert [each.startswith(words) for each in found] == [True] * (factor == 1)


@pytest.mark.parametrize(("free", "filters"), [(1 << 40, "function body"), (None, "function body")])
def test_the_reference_shares_no_kernel_where_memory_allows(monkeypatch, free, filters):
    monkeypatch.setattr(fidelity, "available_memory", lambda: free)
    with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
        facts = decode_graph_facts(bundle.read_graph_facts())
        with open_session("mgdn-edge") as session:
            reference, what = open_reference(bundle, facts, session)
            with reference:
                assert reference.filter_implementation == filters
                assert "standard operators" in what


def test_without_memory_the_cpu_is_not_its_own_reference(monkeypatch):
    monkeypatch.setattr(fidelity, "available_memory", lambda: 1 << 20)
    with open_bundle(packaged_bundles()["mgdn-edge"]) as bundle:
        facts = decode_graph_facts(bundle.read_graph_facts())
        with open_session("mgdn-edge") as session:
            with pytest.raises(NotMeasured, match="1 MiB are free"):
                open_reference(bundle, facts, session)
            session.backend = "tensorrt"
            reference, what = open_reference(bundle, facts, session)
            reference.close()
            assert "native" in what
