"""RunFile: a file that one run writes again and again, such as its picture or its state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mgdn_edge.runtime.errors import EndedEarlyError, UserError
from mgdn_edge.runtime.whole_file import Output


class RunFile:
    """What ``Output`` claimed; once written it is the run's own to replace.

    ``written`` says that it was; ``failure`` is why the latest ``try_write`` did not.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.written = False
        self.failure: UserError | None = None

    def write(self, data: bytes) -> None:
        """The whole file at once; raises UserError where that fails."""
        self.output.write(data)
        self.output = replace(self.output, replaces=True)
        self.written = True

    def try_write(self, data: bytes) -> None:
        """The same for a file the work goes on without: a failure waits for ``check``."""
        if self._belongs_to_another():
            return  # ``data`` of the first time lies beside it, and would again each time
        try:
            self.write(data)
        except UserError as error:
            self.failure = error
        else:
            self.failure = None

    def check(self) -> None:
        """Raise the failure that waits, if one does."""
        if self.failure is not None:
            raise self.failure

    def _belongs_to_another(self) -> bool:
        appeared = not self.output.replaces and self.output.path.exists()
        return self.failure is not None and appeared


@contextmanager
def beside(main: Path | None = None, figures: Any = None) -> Iterator[None]:  # noqa: ANN401 - any
    """A file beside ``main`` or ``figures``: where it fails, EndedEarlyError says what there is."""
    try:
        yield
    except UserError as error:
        told = f"{error}" if main is None else f"{main} is written, but {error}"
        raise EndedEarlyError(told, figures) from None
