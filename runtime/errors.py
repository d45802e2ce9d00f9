"""Errors a user can act on."""


class UserError(Exception):
    """One sentence: what was got, what was wanted, what to type.

    The command line prints it as a single line and exits with code 2; library callers
    catch it like any exception.
    """


LONGEST_LINE = 800  # characters; the beginning of a sentence must not scroll away


def printable(text: str, longest: int = LONGEST_LINE) -> str:
    """``text`` on one line that is safe on a terminal: control characters as escapes, cut short.

    Names and messages may come from files strangers wrote.
    """
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
