"""Errors a user can act on."""


class UserError(Exception):
    """One sentence: what was got, what was wanted, what to type.

    The command line prints it as a single line and exits with code 2; library callers
    catch it like any exception.
    """
