"""Finding: one thing ``mgdn doctor`` looked at."""

from typing import Literal

import msgspec

FindingState = Literal["ok", "warning", "blocks"]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: "blocks" means fusing cannot work; ``fix`` is the line to type."""

    name: str
    state: FindingState
    found: str
    fix: str | None = None
