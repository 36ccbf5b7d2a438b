"""What this room refuses."""

from ultrasound_jax.types import UltrasoundError


class RadiomicsError(UltrasoundError):
    """A region without numbers, or a classifier that cannot be made, and why."""
