"""What two stages refuse."""

from ultrasound_jax.types import UltrasoundError


class StagesError(UltrasoundError):
    """Runs that do not fit together, or a mask that is not out of fold, and why."""
