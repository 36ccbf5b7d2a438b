"""The one error type of this room."""

from ultrasound_jax.types import UltrasoundError


class DatasetError(UltrasoundError):
    """A data set cannot be built; names the file or option and what was allowed."""
