"""Errors a user can act on."""

from typing import Any, ClassVar

from mgdn_edge.runtime.secrets.redaction import redact

# Of every command; the help and the README print this table.
EXIT_CODES = {
    0: "done",
    1: "judged and not accepted",
    2: "wrong input or usage",
    3: "the device could not",
    4: "ended early, or a file missing: what was recorded is kept and named",
    130: "interrupted",
}
NOT_ACCEPTED, INTERRUPTED = 1, 130

LONGEST_SENTENCE = 10_000  # characters; a longer one is a stranger's file quoted


class UserError(Exception):
    """One sentence: what was got, what was wanted, what to type.

    The command line prints it as a single line and exits with ``exit_code``; library callers
    catch it like any exception. Passwords in it are redacted, whatever wrote them there.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, sentence: str) -> None:
        super().__init__(redact(sentence[:LONGEST_SENTENCE]))


class DeviceError(UserError):
    """The request is sound but this machine cannot serve it as it is: exit code 3.

    Out of memory, a crashed builder, a missing plugin or driver, an engine of another device.
    """

    exit_code = 3


class EndedEarlyError(UserError):
    """Not all was done; what was recorded is kept, and the sentence says where: exit code 4.

    ``figures`` of what was done, where there are any.
    """

    exit_code = 4

    def __init__(self, sentence: str, figures: Any = None) -> None:  # noqa: ANN401 - the command's
        super().__init__(sentence)
        self.figures = figures


LONGEST_LINE = 800  # characters; the beginning of a sentence must not scroll away


def printable(text: str, longest: int = LONGEST_LINE) -> str:
    """``text`` on one line that is safe to show: no control characters, no passwords, cut short.

    Names and messages may come from files strangers wrote.
    """
    line = " ".join(redact(text[:LONGEST_SENTENCE]).split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
