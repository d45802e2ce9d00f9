"""Clause: one thing an acceptance asks for; and the verdict over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from mgdn_edge.runtime.errors import printable

ClauseState = Literal["passed", "failed", "not measured"]
INTERRUPTED = "interrupted"
LONGEST_REASON = 220  # characters in the verdict; the clause has the whole sentence


class Clause(msgspec.Struct, frozen=True):
    """``description`` is what was measured, or why it failed or could not be measured.

    A ``needed`` clause must have passed for acceptance; what was not measured never has.
    ``device_failure`` marks a machine that could not do the work, not a wrong result of it.
    """

    name: str
    state: ClauseState
    description: str = msgspec.field(name="told")
    needed: bool = True
    seconds: float = 0.0
    device_failure: bool = False


class ClauseFailed(Exception):  # noqa: N818 - no error of the program: a measured result
    """The measurement was made and is not good enough; states what was got and wanted."""


class NotMeasured(Exception):  # noqa: N818 - no error of the program
    """The measurement cannot be made here; says why."""


def is_accepted(clauses: Sequence[Clause]) -> bool:
    """Whether every needed clause has passed; false where there is none."""
    needed = [clause for clause in clauses if clause.needed]
    return bool(needed) and all(clause.state == "passed" for clause in needed)


def deciding_clause(clauses: Sequence[Clause]) -> Clause | None:
    """The needed clause to name first: a failed one before those that could not be measured."""
    for state in ("failed", "not measured"):
        for clause in clauses:
            if clause.needed and clause.state == state:
                return clause
    return None


def exit_code(clauses: Sequence[Clause]) -> int:
    """0 accepted, 3 where the device could not do something needed, else 1."""
    if is_accepted(clauses):
        return 0
    failed = (clause.needed and clause.device_failure for clause in clauses)
    return 3 if any(failed) else 1


def accept_verdict(clauses: Sequence[Clause], subject: str, speed: str) -> str:
    """One line that begins with ACCEPTED or NOT ACCEPTED; ``subject`` is what was tried on what.

    ``speed`` is added where it is accepted.
    """
    count = sum(clause.needed for clause in clauses)
    if is_accepted(clauses):
        return f"ACCEPTED: {subject}; all {count} needed clauses passed{speed}"
    passed = sum(clause.needed and clause.state == "passed" for clause in clauses)
    clause = deciding_clause(clauses)
    why = "nothing was asked for"
    if clause is not None:
        why = f"{clause.name} {clause.state}: {printable(clause.description, LONGEST_REASON)}"
    return f"NOT ACCEPTED: {subject}; {why} ({passed} of {count} needed clauses passed)"
