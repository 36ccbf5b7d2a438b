"""What a network refuses: one line with the option, its value and what is allowed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ultrasound_jax.types import UltrasoundError

DTYPES = ("float32", "bfloat16")


class ModelError(UltrasoundError):
    """A network was asked for that does not exist, or weights that do not fit it."""


class OptionError(ModelError):
    """An option of a network whose value, or which itself, is not allowed."""

    def __init__(self, option: str, value: object, allowed: str):
        super().__init__(f"{option}={value!r}: allowed is {allowed}")
        self.option = option


def compute_dtype(dtype: DTypeLike) -> Any:
    """The dtype to compute in, from its name or itself; a `ModelError` for others.

    float64 too where JAX is told to have it, as proofs of numbers do.
    """
    try:
        name = jnp.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    proves = name == "float64" == jax.dtypes.canonicalize_dtype(np.float64).name
    if name not in DTYPES and not proves:
        raise ModelError(f"dtype {name!r}: allowed are {', '.join(DTYPES)}")
    return jnp.dtype(name)


def require(ok: bool, option: str, value: object, allowed: str) -> None:
    """Raise an `OptionError` that names the option, its value and what is allowed."""
    if not ok:
        raise OptionError(option, value, allowed)


def require_counts(**counts: object) -> None:
    """Raise an `OptionError` for the first that is no whole number above zero."""
    for option, value in counts.items():
        require(is_count(value), option, value, "1 or more")


def require_rates(**rates: object) -> None:
    """Raise an `OptionError` for the first that is no probability below one."""
    for option, value in rates.items():
        fits = isinstance(value, int | float) and 0 <= value < 1
        require(fits, option, value, "0 or more and below 1")


def one_line(error: Exception) -> str:
    """The error's kind and words, without line breaks."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def is_count(value: object) -> bool:
    """Whether the value is a whole number above zero."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
