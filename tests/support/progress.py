"""Told: a Progress that keeps what it is told, and calls a test back."""

from collections.abc import Callable

from mgdn_edge.runtime.machine.progress import Progress


class Told(Progress):
    """``steps`` as (title, total), ``parts`` done in the last one, ``doing`` and ``said`` in order.

    ``on_advance`` is called after each part, on whatever thread did it.
    """

    def __init__(
        self, on_advance: Callable[[], None] = lambda: None, *, said: list[str] | None = None
    ) -> None:
        self.steps: list[tuple[str, float | None]] = []
        self.parts = 0.0
        self.doing: list[str] = []
        self.said = [] if said is None else said
        self.open = False
        self._on_advance = on_advance

    def begin(self, title: str, total: float | None = None, seconds: float | None = None) -> None:
        self.steps.append((title, total))
        self.parts = 0.0
        self.open = True

    def advance(self, parts: float = 1, doing: str = "") -> None:
        self.parts += parts
        if doing:
            self.doing.append(doing)
        self._on_advance()

    def done(self) -> None:
        self.open = False

    def tell(self, sentence: str) -> None:
        self.said.append(sentence)
