"""The norms that a network may be made with, by name."""

from math import gcd

from flax import nnx

from ultrasound_jax.models._parts.checks import require
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.group_norm import GroupNorm
from ultrasound_jax.models._parts.layers import BatchNorm

NORMS = ("batch", "group", "instance", "none")
GROUPS = 8  # of `group`, or as many as divide the channels


def norm_of(name: str, given: Given, features: int) -> nnx.Module | None:
    """One of NORMS for so many channels; None for `none`.

    Raises `OptionError` for another name.
    """
    require(name in NORMS, "norm", name, f"one of {', '.join(NORMS)}")
    if name == "none":
        return None
    if name == "batch":
        return BatchNorm(features, **given.layer)
    groups = features if name == "instance" else gcd(features, GROUPS)
    return GroupNorm(features, groups, **given.layer)
