"""Where in the picture the cells of a feature map stand.

A cell is usually drawn as if it were the mean of the square of pixels that it stands
for. A convolution of stride 2 that pads both sides alike, as ResNet's do, has its first
cell's middle on the first pixel, and after five of them a map that is enlarged as usual
lies half a cell, 16 pixels, too far down and to the right: beside a lesion of that
size. Other paddings and pools shift otherwise. So the place of a cell is measured: it
is the middle of what the cell reacts to, the squared gradient of its squared channels
with respect to noise (an effective receptive field; Luo et al., NeurIPS 2016).
"""

from collections.abc import Callable, Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NOISE = 8  # pictures
First = tuple[float, float]  # the first cell's middle, in pixels down and across


def first_cells(
    maps_of: Callable[[Array], Sequence[Array]], shape: tuple[int, ...]
) -> list[First]:
    """Where the first cell of each map stands, measured at the cell in the middle.

    Args:
        maps_of: pictures `n h w c` from 0 to 1 to maps `n i j d`.
        shape: of a picture, `h w c`.
    """
    noise = np.random.default_rng(0).random((NOISE, *shape)).astype(np.float32)

    @jax.jit
    def reached(noise: Array) -> list[Array]:
        maps, pull = jax.vjp(lambda pictures: tuple(maps_of(pictures)), noise)
        found = []
        for k, one in enumerate(maps):
            middle = np.s_[:, one.shape[1] // 2, one.shape[2] // 2]
            wanted = [jnp.zeros_like(other) for other in maps]
            wanted[k] = wanted[k].at[middle].set(one[middle])
            (gradient,) = pull(tuple(wanted))
            found.append(jnp.square(gradient.astype(jnp.float32)).sum((0, 3)))
        return found

    sizes = [one.shape[1:3] for one in jax.eval_shape(maps_of, noise)]
    fields = jax.device_get(reached(noise))
    return [
        _first(field, cells, shape) for field, cells in zip(fields, sizes, strict=True)
    ]


def _first(
    field: Float[np.ndarray, "h w"], cells: tuple[int, ...], shape: tuple[int, ...]
) -> First:
    """From the middle of the middle cell's field, by the cells' distance."""
    found = []
    for axis in (0, 1):
        along = np.asarray(field, np.float64).sum(1 - axis)
        step = shape[axis] / cells[axis]
        if along.sum() > 0:
            middle = float(along @ np.arange(len(along)) / along.sum())
            found.append(middle - step * (cells[axis] // 2))
        else:  # a cell that reacts to nothing stands where one would draw it
            found.append((step - 1) / 2)
    return found[0], found[1]


def enlarged(
    values: Float[np.ndarray, "i j"], size: tuple[int, int], first: First, how: int
) -> Float[np.ndarray, "h w"]:
    """A map at the size of the picture, its cells where they stand.

    `how` is an interpolation of OpenCV's; what lies beyond the outer cells is theirs.
    """
    places = [
        ((np.arange(side) - at) * cells / side).astype(np.float32)
        for side, at, cells in zip(size, first, values.shape, strict=True)
    ]
    down, across = np.meshgrid(*places, indexing="ij")
    return cv2.remap(
        np.asarray(values, np.float32),
        across,
        down,
        how,
        borderMode=cv2.BORDER_REPLICATE,
    )
