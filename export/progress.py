"""Progress of exports and checks: the step being done, its time, on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def show_steps() -> Iterator[Callable[[str], None]]:
    """A function to call with each step's name: a spinner on a terminal, else silence."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    started = time.monotonic()
    status = console.status("")

    def report(step: str) -> None:
        status.update(f"{step} ({time.monotonic() - started:.0f} s so far)")
        status.start()  # not before: a question may be asked until then

    try:
        yield report
    finally:
        status.stop()


@contextmanager
def show_share(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, total): a bar on a terminal, else silence."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
