"""Which values an option may have."""

import math
from typing import Any

from ultrasound_jax.augment import AugmentError


def number(name: str, value: Any, low: float = 0.0, high: float = math.inf) -> float:
    """The option as a float; raises where it is no finite number from `low` to `high`.

    Settings come from files and command lines, where 1 is as good as 1.0.
    """
    finite = isinstance(value, int | float) and math.isfinite(value)
    if not finite or not low <= value <= high:
        bounded = f"from {low:g} to {high:g}"
        allowed = bounded if high < math.inf else f"{low:g} or more"
        raise AugmentError(f"{name}={value!r} is not allowed: it must be {allowed}")
    return float(value)
