"""The error of this room."""

from ultrasound_jax.types import UltrasoundError


class AnalysisError(UltrasoundError):
    """A predictions table or numbers that cannot be analysed."""
