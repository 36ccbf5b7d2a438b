"""How programs of networks are compiled: `jax.jit` with what XLA should be told."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import jax

from ultrasound_jax.runs.files import at_home

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


def use_compilation_cache(folder: str) -> None:
    """Keeps compiled steps in a folder between runs; "" compiles anew each time.

    JAX does not write an entry at once: a run that began beside this one may have
    half of it there. It is compiled here then, which needs no warning.
    """
    path = str(at_home(folder).absolute()) if folder else None
    jax.config.update("jax_compilation_cache_dir", path)
    # Many small programs add up to more than the few large ones.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    half = "Error reading persistent compilation cache entry"
    warnings.filterwarnings("ignore", message=half, category=UserWarning)
