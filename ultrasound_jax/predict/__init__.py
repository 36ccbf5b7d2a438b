"""A trained run at work: its folder is all that is needed (see `open_run`)."""

from ultrasound_jax.predict.run import Run, RunError, open_run

__all__ = ["Run", "RunError", "open_run"]
