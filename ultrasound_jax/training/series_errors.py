"""What may be wrong with checkpoints."""

from ultrasound_jax.types import UltrasoundError


class CheckpointError(UltrasoundError):
    """A folder of checkpoints from which nothing can be restored."""


class ForeignCheckpointError(CheckpointError):
    """A checkpoint of another run, or of other data, splits or classes."""
