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
    with console.status("starting") as status:

        def report(step: str) -> None:
            status.update(f"{step} ({time.monotonic() - started:.0f} s so far)")

        yield report
