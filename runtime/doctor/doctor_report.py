"""Finding: one thing ``mgdn doctor`` looked at."""

from typing import Literal

import msgspec

from mgdn_edge.runtime.machine.ceilings import Ceilings

FindingState = Literal["ok", "warning", "blocks"]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: "blocks" means fusing cannot work; ``fix`` is the line to type."""

    name: str
    state: FindingState
    found: str
    fix: str | None = None


class DoctorReport(msgspec.Struct, frozen=True):
    """Everything looked at; ``usable`` is false where any finding blocks.

    ``ceilings`` are measured only when asked for.
    """

    usable: bool
    findings: tuple[Finding, ...]
    ceilings: Ceilings | None = None
