"""Flax NNX networks, by name. They know nothing of configs, data or tasks.

A network is a class that is made by `Class(given, *, option=default, …)` and called
with keyword arguments: `model(clip=clip, lengths=lengths, rngs=rngs)` with `clip`
`b t h w c`, or `model(image=image, rngs=rngs)` with `image` `b h w c`, both already
normalised. It returns a dict with `logits` and what its class lists. To add one, write
a file here that says its `NETWORKS`, or name any `package.module:Class`.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ultrasound_jax.models._parts import by_name
from ultrasound_jax.models._parts.checks import (
    ModelError,
    OptionError,
    require,
    require_counts,
)
from ultrasound_jax.models._parts.given import Given
from ultrasound_jax.models._parts.normalisation import Normalisation, normalisation_of

__all__ = [
    "Given",
    "ModelError",
    "OptionError",
    "arguments_of",
    "build",
    "find",
    "names",
    "normalisation",
    "options_of",
]


def names() -> list[str]:
    """The names of the shipped networks."""
    return by_name.names(by_name.NETWORKS)


def find(name: str) -> type[Any]:
    """The class of a shipped network, or of `package.module:Class`.

    Raises `OptionError` with what is allowed.
    """
    return by_name.find(by_name.NETWORKS, "name", name)


def options_of(name: str) -> dict[str, Any]:
    """The options that a network has of its own, with their defaults."""
    return by_name.options_of(find(name))


def arguments_of(name: str) -> tuple[str, ...]:
    """What a network is called with, beside `rngs`: `("clip", "lengths")`."""
    _, *taken = inspect.signature(find(name).__call__).parameters
    return tuple(argument for argument in taken if argument != "rngs")


def normalisation(name: str, **options: Any) -> Normalisation:
    """How pixels were scaled for the published weights of a network or its encoder."""
    return normalisation_of(find(name), options)


def build(
    name: str,
    *,
    rngs: nnx.Rngs,
    patterns: int = 4,
    clip_shape: Sequence[int] | None = None,
    image_shape: Sequence[int] | None = None,
    channels: int = 3,
    grey_scale: Sequence[float] | None = None,
    grey_offset: Sequence[float] | None = None,
    dtype: DTypeLike = jnp.float32,
    remat: bool = False,
    **options: Any,
) -> nnx.Module:
    """The network of that name, with what is given to all and `options` of its own.

    `patterns` is the width of its head; `clip_shape` `(frames, height, width)` or
    `image_shape` `(height, width)` is what it is sized for, where it is sized at all.
    The rest is as `Given` says.

    Raises `ModelError`, naming what is allowed, for a wrong name, option or value.
    """
    kind = find(name)
    own = by_name.options_of(kind)
    for option in options:
        if option not in own:
            given = set(inspect.signature(build).parameters) - {"name", "options"}
            raise ModelError(
                f"option {option!r} of {name!r}: allowed are {', '.join(sorted(own))}; "
                f"every network is given {', '.join(sorted(given))}"
            )
    require_counts(patterns=patterns)
    one = clip_shape is None or image_shape is None
    require(one, "image_shape", image_shape, "None beside a clip_shape")
    shape = image_shape if clip_shape is None else clip_shape
    given = Given(
        rngs=rngs,
        outputs=patterns,
        shape=None if shape is None else tuple(shape),
        channels=channels,
        grey_scale=grey_scale,
        grey_offset=grey_offset,
        dtype=dtype,
        remat=remat,
    )
    return kind(given, **options)
