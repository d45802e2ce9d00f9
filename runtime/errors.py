"""Errors a user can act on."""

import re
from collections.abc import Container, Sequence
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

OPTION = r"(?<![\w-])--[a-z][a-z0-9-]*"
# In a sentence, to the end of its clause or to the next command.
OTHER_COMMAND = r"(?<![\w.-])mgdn ([a-z](?:(?!\bmgdn )[^;)\n])*)"


class UserError(Exception):
    """One sentence: what was got, what was wanted, what to type.

    The command line prints it as a single line and exits with ``exit_code``; library callers
    catch it like any exception. Passwords in it are redacted, whatever wrote them there. ``ways``
    are clauses of advice, each by itself, where not every command that can fail so has the options
    they name: a command prints those it has.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, sentence: str, *, ways: Sequence[str] = ()) -> None:
        self.sentence = redact(sentence[:LONGEST_SENTENCE])
        self.ways = tuple(map(redact, ways))
        super().__init__("; ".join([self.sentence, *self.ways]))

    def told(self, options: Container[str]) -> str:
        """The sentence with those ways whose options are all among ``options``."""
        possible = [way for way in self.ways if all(each in options for each in named_options(way))]
        return "; ".join([self.sentence, *possible])


def named_options(advice: str) -> list[str]:
    """The options that ``advice`` names of the command at hand, not those in "mgdn NAME ..."."""
    return re.findall(OPTION, re.sub(OTHER_COMMAND, "", advice))


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
