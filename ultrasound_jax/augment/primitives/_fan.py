"""Where in a frame the scanner has drawn, and how deep and how far aside that is.

Found from the pixels, on the device: the surround is black (at most DARK) in every
frame. A pixel lies outside if it can be reached from an edge of the frame through
nothing but such pixels along its row or its column, so that black cysts and shadows
within the fan belong to it. Beams are taken to spread from a point on the fan's own
axis: the fan's half width is fitted by a line over its rows from the top to the widest
one. Where it hardly widens (a linear probe, or a frame without a surround) beams are
parallel. Writing in the surround counts as lit, and what lies between it and the fan
along both a row and a column then counts as inside; crop recordings to the fan first.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Frames = Float[Array, "t h w c"]


DARK = 4.5 / 255  # black after JPEG
PARALLEL = 0.05  # pixels of half width a row: beams that spread less are parallel


class Fan(NamedTuple):
    """What is inside; depth from 0 (skin) to 1; aside from -1 to 1 across the beams."""

    inside: Bool[Array, "h w"]
    depth: Float[Array, "h w"]
    aside: Float[Array, "h w"]

    def field(self, values: Float[Array, "h w"]) -> Float[Array, "1 h w 1"]:
        """Values of each place, for all frames and channels."""
        return values[None, :, :, None]

    def painted(self, frames: Frames, changed: Frames) -> Frames:
        """The changed pixels, within [0, 1], inside the fan; the others as they are."""
        inside = self.inside[None, :, :, None]
        return jnp.where(inside, jnp.clip(changed, 0.0, 1.0), frames)


def find_fan(frames: Frames, counting: Bool[Array, " t"]) -> Fan:
    """The fan of an example, from all frames that count."""
    height, width = frames.shape[1:3]
    lit = ((frames > DARK) & counting[:, None, None, None]).any((0, 3))
    y, x = jnp.arange(height, dtype=jnp.float32), jnp.arange(width, dtype=jnp.float32)
    (left, right), (top, bottom) = _ends(lit, 1), _ends(lit, 0)
    inside = (x >= left[:, None]) & (x <= right[:, None])
    inside &= (y[:, None] >= top) & (y[:, None] <= bottom)

    half = jnp.maximum((right - left) / 2, 0.0)
    weight = ((right >= left) & (y <= jnp.argmax(half))).astype(jnp.float32)
    count = jnp.maximum(weight.sum(), 1.0)
    axis = (weight * (left + right) / 2).sum() / count
    mean_y, mean_half = (weight * y).sum() / count, (weight * half).sum() / count
    spread = (weight * (y - mean_y) ** 2).sum()
    slope = (weight * (y - mean_y) * half).sum() / jnp.maximum(spread, 1.0)
    slope = jnp.where(slope > PARALLEL, slope, 0.0)
    apart = jnp.maximum(mean_half + slope * (y - mean_y), 0.5)
    below = (apart / jnp.where(slope > 0, slope, 1.0))[:, None]  # the beams' point
    along = jnp.where(slope > 0, jnp.hypot(below, x - axis), y[:, None])
    low = jnp.where(inside, along, jnp.inf).min()
    high = jnp.where(inside, along, -jnp.inf).max()
    depth = (along - low) / jnp.maximum(high - low, 1.0)
    aside = (x - axis) / apart[:, None]
    return Fan(inside, jnp.clip(depth, 0.0, 1.0), jnp.clip(aside, -1.0, 1.0))


def _ends(
    lit: Bool[Array, "h w"], axis: int
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The first and the last lit pixel of each row or column; reversed without any."""
    last = lit.shape[axis] - 1.0
    first = jnp.argmax(lit, axis=axis).astype(jnp.float32)
    final = last - jnp.argmax(jnp.flip(lit, axis), axis=axis)
    there = lit.any(axis)
    return jnp.where(there, first, last), jnp.where(there, final, 0.0)
