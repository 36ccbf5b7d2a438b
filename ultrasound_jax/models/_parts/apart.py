"""A part of a program that XLA computes once, by itself.

On a CPU XLA fuses a sum, a maximum or a pool with everything that reads it, and so
computes it anew for each reader: `optimization_barrier` is removed before that. A call
that is not inlined stays.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def apart(compute: Callable[..., Any]) -> Callable[..., Any]:
    """`compute`, fused with nothing around it; for what is computed on a CPU."""

    def within(*arrays: Any) -> Any:
        with set_xla_metadata(inlineable="true"):
            return compute(*arrays)

    def called(*arrays: Any) -> Any:
        with set_xla_metadata(inlineable="false"):
            return jax.jit(within)(*arrays)

    return called
