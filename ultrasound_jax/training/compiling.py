"""How programs of networks are compiled: `jax.jit` with what XLA should be told."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax

# XLA hands some convolutions to YNNPACK, which computes each on one thread and leaves
# the other cores idle. Named is what it may keep, all else of jaxlib 0.10's default.
# experiments/conv_steps.py measures this together with our convolutions and pools.
ON_A_CPU = {
    "xla_cpu_experimental_ynn_fusion_type": (
        "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
    )
}


@cache
def xla_options() -> dict[str, str] | None:
    """What XLA is told on this backend; nothing where it does not know these options.

    They are experimental, so that another jaxlib may lack or refuse them.
    """
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda: 0, compiler_options=ON_A_CPU).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return ON_A_CPU


def jit(function: Callable, **options: Any) -> Any:
    """`jax.jit` with these options; for what is called from outside of programs."""
    return jax.jit(function, compiler_options=xla_options(), **options)
