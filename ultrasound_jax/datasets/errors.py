"""The error types of this room."""

from ultrasound_jax.types import InputError, UltrasoundError


class DatasetError(InputError):
    """A data set cannot be built; names the file or option and what was allowed."""


class NoRoomError(UltrasoundError):
    """A disk is full: no fault of a file, so that none may be left out for it."""
