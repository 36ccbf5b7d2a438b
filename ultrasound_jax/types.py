"""What every room may know: the root of the errors and the names of the arrays."""

from typing import Any, TypedDict

import numpy as np

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


class ClipBatch(TypedDict):
    """A batch as it leaves the data pipeline: numbers only, on the host.

    clip: uint8 `b t h w 1`; frames from `length` on are zero.
    length: int32 `b`, true frames of each clip; 0 marks a row that only fills a batch.
    labels: int8 `b k`, 1 present, 0 absent, -1 not annotated.
    index: int32 `b`, the example's place in its source; -1 for a filling row.
    """

    clip: np.ndarray
    length: np.ndarray
    labels: np.ndarray
    index: np.ndarray
