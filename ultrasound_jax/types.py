"""What every room may know: the root of the errors and the names of the arrays."""

from typing import Any

ArrayTree = Any  # a nest of arrays as jax.tree sees it
Settings = Any  # a ConfigDict with the keys of configs/_base.py, or a part of it
UNKNOWN = -1  # a label that nobody annotated; losses and metrics ignore it


class UltrasoundError(Exception):
    """The message is one line that names the file or value and what was allowed.

    Each room derives its own type; at the command line one of these ends the program
    with its message and exit code 2, without a traceback.
    """


class InputError(UltrasoundError):
    """A file of the user or a rule for files that cannot be used.

    It names the file or value and what was allowed.
    """
