"""Damaged bundles for as long as asked: python tests/fuzz_bundles.py --minutes 10.

Counts the cases and what came of them; stops at the first that breaks the reader's promise,
leaving the file as fuzz-failure.mgdn.
"""

import argparse
import datetime
import importlib.util
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS / "runtime" / "bundle"))
from support.bundle_mutations import KINDS, contents_of, damaged  # noqa: E402
from support.bundle_oracle import judge  # noqa: E402

EXAMPLES = 400  # of one kind before the next has its turn


def build_bundle(folder: Path) -> Path:
    """The tiny bundle of the tests."""
    from mgdn_edge.runtime.packing.creation import create_bundle

    spec = importlib.util.spec_from_file_location("conftest", TESTS / "runtime" / "conftest.py")
    fixtures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fixtures)
    create_bundle(fixtures.write_export(folder / "export"), folder / "tiny.mgdn")
    return folder / "tiny.mgdn"


def run_turn(kind: str, number: int, data: bytes, path: Path, counts: Counter) -> None:
    """EXAMPLES cases of one kind from one seed."""
    original = contents_of(data)

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        deadline=datetime.timedelta(seconds=10),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(damaged(kind, data))
    def try_one(archive):
        path.write_bytes(archive)
        try:
            counts[kind, judge(path, original["manifest.json"], original)] += 1
        except BaseException:
            Path("fuzz-failure.mgdn").write_bytes(archive)
            raise

    try_one()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    given_options = parser.parse_args()
    end = time.monotonic() + 60 * given_options.minutes
    counts: Counter = Counter()
    with tempfile.TemporaryDirectory() as folder:
        data = build_bundle(Path(folder)).read_bytes()
        path = Path(folder) / "damaged.mgdn"
        number = given_options.seed
        while time.monotonic() < end:
            for kind in KINDS:
                run_turn(kind, number, data, path, counts)
            number += 1
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{kind}: {count} {outcome}")
    print(f"{sum(counts.values())} cases, seeds {given_options.seed} to {number - 1}")


if __name__ == "__main__":
    main()
