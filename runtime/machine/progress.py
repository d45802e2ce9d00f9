"""Progress: what those who wait are told meanwhile.

Whatever may take more than two seconds takes one. ``runtime/commands/progress.py`` draws it.
"""

from __future__ import annotations


class Progress:
    """What a long call tells meanwhile: steps, one after the other, and sentences.

    This one says nothing: subclass it, and pass it as ``progress``. It is called from any thread.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def begin(self, title: str, total: float | None = None, seconds: float | None = None) -> None:
        """A step begins, and ends the one before.

        ``total`` is how many parts it has: an int counts things, a float is a whole of which
        shares get done, None is not known. ``seconds`` is what a step like it once took.
        """

    def advance(self, parts: float = 1, doing: str = "") -> None:
        """So many more parts are done; ``doing`` says with what it goes on."""

    def done(self) -> None:
        """The step is over."""

    def tell(self, sentence: str) -> None:
        """A sentence worth reading at once, whether or not anybody watches a bar."""


SILENT = Progress()
