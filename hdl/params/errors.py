"""The errors a user can meet; each carries the exit code the command line ends with.

A message is one line: what is wrong, where, and how to mend it.
"""

__all__ = ["NervureError", "CheckFailed", "UserError", "ToolMissing"]


class NervureError(Exception):
    """Base of all errors that are meant for the user."""

    exit_code = 1


class CheckFailed(NervureError):
    """A check did not pass: a mismatch, or a design that does not fit."""

    exit_code = 1


class UserError(NervureError):
    """The user's input is wrong."""

    exit_code = 2


class ToolMissing(NervureError):
    """A program that Nervure runs is not installed."""

    exit_code = 3
