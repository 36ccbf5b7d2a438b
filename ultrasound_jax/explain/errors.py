"""The error of this room."""

from ultrasound_jax.types import UltrasoundError


class ExplainError(UltrasoundError):
    """A network that cannot be looked into as asked, or a video that is not there."""
