"""The one error type of this room."""

from ultrasound_jax.types import InputError


class DatasetError(InputError):
    """A data set cannot be built; names the file or option and what was allowed."""
