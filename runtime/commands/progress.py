"""show_progress: bars on stderr for who waits at a terminal; sentences on stderr for everybody."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from mgdn_edge.runtime.machine.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LEAST_SHARE = 0.05  # a share below that says nothing about the time left
MINUTES_FROM = 120  # seconds
REFRESHES = 4  # a second: each takes a millisecond from what may be being timed


@contextmanager
def show_progress(*, bars: bool) -> Iterator[Progress]:
    """What a command hands to what it calls; ``bars`` is False where it prints JSON.

    A bar is drawn from the first step on, and not before: a question may be asked until then.
    """
    if not bars or not sys.stderr.isatty():
        yield Sentences()
        return
    progress = Bars()
    try:
        yield progress
    finally:
        progress.done()


class Sentences(Progress):
    """Sentences alone."""

    def tell(self, sentence: str) -> None:
        """A line on stderr."""
        typer.echo(sentence, err=True)


class Bars(Sentences):
    """A bar for a step whose parts are known, else a spinner; it goes when the step is over."""

    def __init__(self) -> None:
        self._shown: RichProgress | None = None
        self._title = ""

    def begin(self, title: str, total: float | None = None, seconds: float | None = None) -> None:
        """Draw it."""
        self.done()
        self._title = title
        self._shown = open_bar(title, total, seconds)
        self._shown.start()

    def advance(self, parts: float = 1, doing: str = "") -> None:
        """Move it on."""
        if self._shown is not None:
            task = self._shown.task_ids[0]
            if doing:
                self._shown.update(task, description=f"{self._title}: {doing}")
            self._shown.advance(task, parts)

    def done(self) -> None:
        """Take it away."""
        shown, self._shown = self._shown, None
        if shown is not None:
            shown.stop()

    def tell(self, sentence: str) -> None:
        """A line above it."""
        if self._shown is None:
            super().tell(sentence)
        else:
            self._shown.console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def open_bar(title: str, total: float | None, seconds: float | None) -> RichProgress:
    """One step's drawing, not yet started."""
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class Figures(ProgressColumn):
        """Counts on between two parts, which may be minutes apart."""

        def render(self, task: Task) -> Text:
            elapsed = task.elapsed or 0.0
            return Text(describe_step(task.completed, total, elapsed, seconds))

    described = Column(no_wrap=True, overflow="ellipsis")
    shown = RichProgress(
        SpinnerColumn() if total is None else BarColumn(bar_width=10),
        TextColumn("{task.description}", markup=False, table_column=described),
        Figures(table_column=Column(no_wrap=True)),
        console=Console(stderr=True),
        refresh_per_second=REFRESHES,
        transient=True,
    )
    shown.add_task(title, total=total)
    return shown


def describe_step(
    done: float, total: float | None, elapsed: float, seconds: float | None = None
) -> str:
    """Parts done of how many, after ``elapsed`` seconds: how far, how fast, how long still."""
    counted = total is None or isinstance(total, int)
    told = []
    if total is not None:
        told.append(f"{done:.0f}/{total}" if counted else f"{100 * done / (total or 1):.0f} %")
    elif done:
        told.append(f"{done:.0f}")
    if counted and done > 1 and elapsed > 0:
        told.append(f"{done / elapsed:.1f}/s")
    left = None
    if total is not None:
        left = remaining_seconds(done / total if total else 1.0, elapsed, seconds)
    told.append(
        describe_seconds(elapsed) if left is None else f"about {describe_seconds(left)} left"
    )
    return ", ".join(told)


def remaining_seconds(share: float, elapsed: float, expected: float | None) -> float | None:
    """Seconds left: by an earlier step of ``expected`` seconds, else by the share; None unknown.

    An engine's phases take very different times, so an earlier build on the same device tells more.
    """
    if expected is not None and elapsed < expected:
        return expected - elapsed
    return elapsed * (1 - share) / share if share >= LEAST_SHARE else None


def describe_seconds(seconds: float) -> str:
    """Such as "48 s" or "14 min"."""
    return f"{seconds / 60:.0f} min" if seconds >= MINUTES_FROM else f"{seconds:.0f} s"
