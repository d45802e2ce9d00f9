import pytest

from mgdn_edge.runtime.measure.acceptance.verdict import (
    Clause,
    accept_verdict,
    deciding_clause,
    exit_code,
    is_accepted,
)

PASSED = Clause("machine", "passed", "well")
FAILED = Clause("parity", "failed", "3 levels")
BROKEN = Clause("engine", "failed", "no driver", device_failure=True)
UNMEASURED = Clause("latency", "not measured", "needs engine")
SPARE = Clause("soak throttling", "not measured", "no counters", needed=False)


@pytest.mark.parametrize(
    ("clauses", "accepted", "code", "named"),
    [
        ((PASSED,), True, 0, None),
        ((PASSED, SPARE), True, 0, None),
        ((PASSED, UNMEASURED), False, 1, "latency"),
        ((PASSED, FAILED), False, 1, "parity"),
        ((UNMEASURED, FAILED), False, 1, "parity"),
        ((PASSED, BROKEN, UNMEASURED), False, 3, "engine"),
        ((SPARE,), False, 1, None),
        ((), False, 1, None),
    ],
)
def test_only_needed_clauses_that_passed_are_acceptance(clauses, accepted, code, named):
    assert is_accepted(clauses) == accepted
    assert exit_code(clauses) == code
    decided = deciding_clause(clauses)
    assert (decided.name if decided else None) == named


def test_a_device_failure_of_what_is_not_needed_is_none():
    spare = Clause("plugin", "failed", "broken", needed=False, device_failure=True)
    assert exit_code((PASSED, spare)) == 0


def test_the_verdict_names_the_clause_that_failed():
    told = accept_verdict((PASSED, UNMEASURED, FAILED, SPARE), "net on a board", ", 3 ms")
    assert told == (
        "NOT ACCEPTED: net on a board; parity failed: 3 levels (1 of 3 needed clauses passed)"
    )
    assert accept_verdict((PASSED, SPARE), "net on a board", ", 3 ms") == (
        "ACCEPTED: net on a board; all 1 needed clauses passed, 3 ms"
    )


def test_nothing_needed_is_not_accepted():
    assert accept_verdict((SPARE,), "net", "").startswith("NOT ACCEPTED: net")


def test_a_long_reason_is_cut_in_the_verdict():
    told = accept_verdict((Clause("engine", "failed", "no " * 200),), "net", "")
    assert len(told) < 300 and told.endswith("… (0 of 1 needed clauses passed)")
