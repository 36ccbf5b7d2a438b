"""How alike a probability map and a true mask look in small windows.

Wang et al. (IEEE TIP 2004): a Gaussian window of 11x11 pixels and sigma 1.5, constants
0.01^2 and 0.03^2 of values in [0, 1], variances of a population.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ultrasound_jax.tasks._mask_losses import shares

REACH = 5  # pixels on either side of a window's middle
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
ZERO, INSIDE = BORDERS = ("zero", "inside")


def ssim(
    logits: Float[Array, "b h w j"],
    truth: Bool[Array, "b h w k"],
    *,
    borders: str = ZERO,
) -> Float[Array, " b"]:
    """1 minus the mean SSIM of each structure's probabilities and its true mask.

    Args:
        logits: of the network.
        truth: where each structure is.
        borders: `zero` has a window at every pixel, with zeros beyond the picture, as
            published, which both maps then share an edge with. `inside` has those
            windows only that lie in the picture.
    """
    found, true = shares(logits), truth.astype(jnp.float32)
    one, square, both = blur(jnp.stack([found, found * found, found * true]))
    other = blur(true)  # and its square's, which a mask is itself
    spread = square - one * one + other - other * other
    likeness = (2 * one * other + C1) / (one * one + other * other + C1)
    likeness = likeness * (2 * (both - one * other) + C2) / (spread + C2)
    if borders == INSIDE:
        likeness = likeness[:, REACH:-REACH, REACH:-REACH]
    return 1 - likeness.mean((1, 2, 3))


@jax.custom_vjp
def blur(maps: Float[Array, "*n h w k"]) -> Float[Array, "*n h w k"]:
    """The mean under a Gaussian window at each pixel, with zeros beyond the picture.

    Its gradient is the same blur: XLA's own, of slices, takes several times as long. So
    does what XLA on CPU makes of eleven slices that each look for the border, which the
    barriers keep apart.
    """
    places = np.arange(-REACH, REACH + 1)
    window = np.exp(-0.5 * np.square(places / SIGMA))
    window = (window / window.sum()).tolist()
    for axis in (maps.ndim - 3, maps.ndim - 2):
        sides = [(0, 0)] * maps.ndim
        sides[axis] = (REACH, REACH)
        size = maps.shape[axis]
        wide = jax.lax.optimization_barrier(jnp.pad(maps, sides))
        maps = jnp.zeros_like(maps)
        for start, weight in enumerate(window):
            end = start + size
            maps += weight * jax.lax.slice_in_dim(wide, start, end, axis=axis)
        maps = jax.lax.optimization_barrier(maps)
    return maps


def _forward(maps: Array) -> tuple[Array, None]:
    return blur(maps), None


def _backward(_: None, gradient: Array) -> tuple[Array]:
    return (blur(gradient),)


blur.defvjp(_forward, _backward)
