"""The one error type of this room."""

from ultrasound_jax.types import UltrasoundError


class CineError(UltrasoundError):
    """A clinical file or a cutting rule is unusable; names it and what was allowed."""
