"""A signal that one process of a run receives, known to all of them at one step."""

import jax
import numpy as np
from jax.experimental import multihost_utils

from ultrasound_jax.runs.signals import Interrupts


class SharedInterrupts(Interrupts):
    """The interrupts of a run that several processes may share."""

    def received(self) -> int:
        """The signal's number, or 0; the same in every process.

        With several processes this is a collective call: all must ask at the same step.
        """
        mine = super().received()
        if jax.process_count() == 1:
            return mine
        everyone = multihost_utils.process_allgather(np.int32(mine))
        return int(np.max(everyone))
