"""Flip and rotation as they stood before fields had roles, word for word.

Runs that were published trained with these numbers; the operation must give the same.
"""

import jax
import jax.numpy as jnp


def flip_and_rotate(
    clip,
    *,
    key,
    flip,
    rotate,
    degrees,
):
    """Mirrors left-right with probability `flip`, then turns with probability `rotate`.

    The angle is uniform in [-degrees, degrees] about the middle of the frame, bilinear,
    black outside (LUV-Net, section 2). Values keep their scale: the original turned
    them into fractions and divided by 255 once more, which blackened half of the clips
    it trained on. Both moves are one resampling, so an unturned clip is copied exactly.
    """
    if flip == 0 and (rotate == 0 or degrees == 0):
        return clip
    keys = jax.random.split(key, clip.shape[0])
    return jax.vmap(lambda one, k: _warp(one, k, flip, rotate, degrees))(clip, keys)


def _warp(
    clip,
    key,
    flip,
    rotate,
    degrees,
):
    flip_key, rotate_key, angle_key = jax.random.split(key, 3)
    mirrored = jax.random.bernoulli(flip_key, flip)
    turned = jax.random.bernoulli(rotate_key, rotate)
    angle = jax.random.uniform(angle_key, minval=-degrees, maxval=degrees)
    angle = jnp.deg2rad(jnp.where(turned, angle, 0.0))
    height, width = clip.shape[1:3]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y, x = jnp.meshgrid(
        jnp.arange(height) - middle_y, jnp.arange(width) - middle_x, indexing="ij"
    )
    source_y = jnp.cos(angle) * y - jnp.sin(angle) * x + middle_y
    source_x = jnp.sin(angle) * y + jnp.cos(angle) * x
    source_x = jnp.where(mirrored, -source_x, source_x) + middle_x
    return _bilinear(clip, source_y, source_x)


def _bilinear(clip, y, x):
    """Samples all frames at the same places; outside the frame is 0."""
    frames, height, width, channels = clip.shape
    pixels = jnp.moveaxis(clip, 0, 2).reshape(height * width, frames * channels)
    top, left = jnp.floor(y), jnp.floor(x)

    def corner(row, column):
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
    return jnp.moveaxis(sampled.reshape(height, width, frames, channels), 2, 0)
