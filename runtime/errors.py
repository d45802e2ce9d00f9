"""Errors a user can act on."""

from typing import ClassVar

from mgdn_edge.runtime.redaction import redact

LONGEST_SENTENCE = 10_000  # characters; what a stranger's file makes longer is nobody's sentence


class UserError(Exception):
    """One sentence: what was got, what was wanted, what to type.

    The command line prints it as a single line and exits with ``exit_code``; library callers
    catch it like any exception. Passwords in it are redacted, whoever wrote them there.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, sentence: str) -> None:
        super().__init__(redact(sentence[:LONGEST_SENTENCE]))


class DeviceError(UserError):
    """The request is sound but this machine cannot serve it as it is: exit code 3.

    Out of memory, a crashed builder, a missing plugin or driver, an engine of another device.
    """

    exit_code = 3


LONGEST_LINE = 800  # characters; the beginning of a sentence must not scroll away


def printable(text: str, longest: int = LONGEST_LINE) -> str:
    """``text`` on one line that is safe to show: no control characters, no passwords, cut short.

    Names and messages may come from files strangers wrote.
    """
    line = " ".join(redact(text[:LONGEST_SENTENCE]).split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
