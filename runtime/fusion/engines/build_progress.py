"""How far a build is: its phases as one share of a step."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mgdn_edge.runtime.fusion.engines.build_protocol import (
    BuildEvent,
    Built,
    PhaseBegun,
    PhaseEnded,
    StageBegun,
    StepDone,
)
from mgdn_edge.runtime.machine.progress import Progress


class _Phase(msgspec.Struct):
    name: str
    steps: int
    done: int = 0


class BuildProgress:
    """Events -> the innermost phase's name and the share done, which never goes back.

    A phase's share is its finished steps plus what its inner phase has done of the next one.
    Phases may be begun beside each other by several threads; then the last one begun counts.
    """

    def __init__(self) -> None:
        self.phase = "starting"
        self.share = 0.0
        self._stack: list[_Phase] = []

    def add(self, event: BuildEvent) -> None:
        """Take one event into account."""
        if isinstance(event, StageBegun):
            self.phase = event.name
        elif isinstance(event, PhaseBegun):
            self.phase = event.name
            self._begin(event)
        elif isinstance(event, StepDone):
            for phase in self._named(event.name):
                phase.done = max(phase.done, min(event.step + 1, phase.steps))
        elif isinstance(event, PhaseEnded):
            for phase in self._named(event.name):
                del self._stack[self._stack.index(phase) :]
        elif isinstance(event, Built):
            self.share = 1.0
        self.share = max(self.share, self._stack_share())

    def _begin(self, event: PhaseBegun) -> None:
        names = [phase.name for phase in self._stack]
        depth = names.index(event.parent) + 1 if event.parent in names else 0
        self._stack[depth:] = [_Phase(event.name, max(event.steps, 1))]

    def _named(self, name: str) -> list[_Phase]:
        return [phase for phase in self._stack if phase.name == name][-1:]

    def _stack_share(self) -> float:
        share = 0.0
        for phase in reversed(self._stack):
            share = (phase.done + min(share, 1.0)) / phase.steps
            share = min(share, 1.0)
        return share


def follow_build(
    progress: Progress, title: str, seconds: float | None
) -> Callable[[BuildEvent], None]:
    """Begin a step; what is returned takes each event and says how far it is.

    ``seconds`` is how long an earlier build like this took, None where there was none.
    """
    state = BuildProgress()
    progress.begin(title, 1.0, seconds)

    def follow(event: BuildEvent) -> None:
        before = state.share
        state.add(event)
        progress.advance(state.share - before, state.phase)

    return follow
