"""Moves what has places: pixels bilinearly, masks by the nearest neighbour."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from ultrasound_jax.augment import AugmentError, Fields, Roles

Places = tuple[Float[Array, "h w"], Float[Array, "h w"]]


def move(
    fields: Fields,
    roles: Roles,
    key: PRNGKeyArray,
    places: Callable[[PRNGKeyArray, int, int], Places],
) -> Fields:
    """The fields with pixels and masks moved, each example by one draw.

    Args:
        places: from the key of an example, height and width: the rows and columns at
            which the example is sampled. It is asked for each field with the same key,
            so a mask goes where its pixels go.
    """
    return {
        name: _move(name, array, SAMPLE[roles[name]], key, places)
        if name in roles and roles[name] in SAMPLE
        else array
        for name, array in fields.items()
    }


def _move(
    name: str, array: Array, sample: Callable, key: PRNGKeyArray, places: Callable
) -> Array:
    check_shape(name, array)
    height, width = array.shape[-3:-1]

    def one(example: Array, key: PRNGKeyArray) -> Array:
        frames = example if example.ndim == 4 else example[None]
        moved = sample(frames, *places(key, height, width))
        return moved if example.ndim == 4 else moved[0]

    return jax.vmap(one)(array, jax.random.split(key, array.shape[0]))


def check_shape(name: str, array: Array) -> None:
    """Refuses a field that has no frames.

    Raises:
        AugmentError: it is neither `b h w c` nor `b t h w c`.
    """
    if array.ndim not in (4, 5):
        raise AugmentError(
            f"field '{name}' has the shape {array.shape}; pixels and masks must be "
            "b h w c or b t h w c"
        )


def bilinear(
    frames: Float[Array, "t h w c"], y: Float[Array, "h w"], x: Float[Array, "h w"]
) -> Float[Array, "t h w c"]:
    """Samples all frames at the same places; outside the frame is 0.

    `jax.scipy.ndimage.map_coordinates`, mapped over frames and channels, gives the
    same to 1.2e-7 and takes as long (on CPU, from 8 clips of 10 x 64 x 64 to 4 of
    30 x 256 x 256). It would change the last bits of every trained weight for nothing,
    so the sum of four gathers, one a corner for all frames and channels, stays.
    """
    height, width = frames.shape[1:3]
    pixels = _by_place(frames)
    top, left = jnp.floor(y), jnp.floor(x)

    def corner(row: Float[Array, "h w"], column: Float[Array, "h w"]) -> Array:
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        share = (1 - jnp.abs(y - row)) * (1 - jnp.abs(x - column)) * inside
        row = jnp.clip(row, 0, height - 1).astype(jnp.int32)
        column = jnp.clip(column, 0, width - 1).astype(jnp.int32)
        return pixels[row * width + column] * share[..., None]

    sampled = (
        corner(top, left)
        + corner(top, left + 1)
        + corner(top + 1, left)
        + corner(top + 1, left + 1)
    )
    return _by_frame(sampled, frames)


def nearest(
    frames: Shaped[Array, "t h w c"], y: Float[Array, "h w"], x: Float[Array, "h w"]
) -> Shaped[Array, "t h w c"]:
    """Copies the value that lies nearest, in the dtype of the mask; outside is 0."""
    height, width = frames.shape[1:3]
    row, column = jnp.round(y).astype(jnp.int32), jnp.round(x).astype(jnp.int32)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)
    values = _by_place(frames)[row * width + column]
    outside = jnp.zeros((), values.dtype)
    return _by_frame(jnp.where(inside[..., None], values, outside), frames)


def _by_place(frames: Shaped[Array, "t h w c"]) -> Shaped[Array, "places values"]:
    """All that lies at a place in one row, so that it is gathered at once."""
    count, height, width, channels = frames.shape
    return jnp.moveaxis(frames, 0, 2).reshape(height * width, count * channels)


def _by_frame(
    sampled: Shaped[Array, "h w values"], frames: Shaped[Array, "t h w c"]
) -> Shaped[Array, "t h w c"]:
    count, height, width, channels = frames.shape
    return jnp.moveaxis(sampled.reshape(height, width, count, channels), 2, 0)


SAMPLE = {"pixels": bilinear, "mask": nearest}
