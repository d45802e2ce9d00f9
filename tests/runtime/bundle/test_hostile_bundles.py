"""Whatever a .mgdn file holds, it opens with digests that fit or is refused in one sentence."""

import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from support.bundle_mutations import KINDS, contents_of, damaged
from support.bundle_oracle import judge

pytestmark = pytest.mark.export  # the tiny bundle is built with onnx

# Short for every run; tests/fuzz_bundles.py --minutes 10 is the long one.
SHORT = settings(
    max_examples=120,
    deadline=datetime.timedelta(seconds=5),
    suppress_health_check=list(HealthCheck),
    database=None,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_bundle_opens_whole_or_is_one_sentence(tiny_bundle, tmp_path, kind):
    data = tiny_bundle.read_bytes()
    original = contents_of(data)
    outcomes = set()

    @SHORT
    @given(damaged(kind, data))
    def try_one(archive):
        path = tmp_path / "damaged.mgdn"
        path.write_bytes(archive)
        outcomes.add(judge(path, original["manifest.json"], original))

    try_one()
    assert "refused" in outcomes


def test_the_original_opens(tiny_bundle):
    original = contents_of(tiny_bundle.read_bytes())
    assert judge(tiny_bundle, original["manifest.json"], original) == "opens"
