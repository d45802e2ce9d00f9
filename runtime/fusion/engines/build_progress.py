"""How far a build is: its phases as one share, and the time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from mgdn_edge.runtime.fusion.engines.build_protocol import (
    BuildEvent,
    Built,
    PhaseBegun,
    PhaseEnded,
    StageBegun,
    StepDone,
)

LEAST_SHARE = 0.05  # a share below that says nothing about the time left


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


def remaining_seconds(share: float, elapsed: float, expected: float | None) -> float | None:
    """Seconds left: by an earlier build of ``expected`` seconds, else by the share; None unknown.

    Phases take very different times, so an earlier build on the same device tells more.
    """
    if expected is not None and elapsed < expected:
        return expected - elapsed
    return elapsed * (1 - share) / share if share >= LEAST_SHARE else None


@contextmanager
def show_build(title: str, expected: float | None = None) -> Iterator[Callable[[BuildEvent], None]]:
    """A function to call with each event: a bar on a terminal, else silence.

    ``expected`` is how many seconds an earlier build like this took.
    """
    if not sys.stderr.isatty():
        yield lambda event: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Column
    from rich.text import Text

    state = BuildProgress()

    class TimeLeft(ProgressColumn):
        """Counts on between events, which may be minutes apart."""

        def render(self, task: Task) -> Text:
            left = remaining_seconds(state.share, task.elapsed or 0.0, expected)
            return Text("" if left is None else f"about {left:.0f} s left")

    progress = Progress(
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=10),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeLeft(table_column=Column(no_wrap=True, min_width=16)),
        console=Console(stderr=True),
        transient=True,
    )
    with progress:
        task = progress.add_task(title, total=1.0)

        def show(event: BuildEvent) -> None:
            state.add(event)
            progress.update(task, completed=state.share, description=f"{title}: {state.phase}")

        yield show
