"""Exact class activation maps: a logit, told apart by the places that it comes from.

Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, for
networks of several levels. Where all behind the averages of some feature maps is linear
(`pyramid` and `map_weights` of a network), a class's logit is the sum of its maps'
averages, and of a constant of the class. Nothing is approximated and no gradient is
taken: what a map shows at a place is what the place adds to the logit, and what speaks
against the class is negative.

Differences from the skin-tumour study that has such maps (Sensors 2023, 23, 7374): each
level counts as much as the last layer lets it (the study adds the levels' maps as if it
weighed them alike), no class's map is turned round (the study's lipoma is), and cells
are drawn where they stand (`alignment`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ultrasound_jax.explain.see.alignment import First, enlarged


def has_exact(model: Any, outputs: Mapping[str, Any]) -> bool:
    """Whether a network that returns `outputs`, or their shapes, has exact maps."""
    return hasattr(model, "map_weights") and "pyramid" in outputs


def level_maps(
    model: Any, outputs: Mapping[str, Any], weights: Float[Array, "b o"]
) -> list[Float[Array, "b _ _"]]:
    """Each level's map of the logits as they are weighed, at the level's own size."""
    found = []
    for level, channels in zip(outputs["pyramid"], model.map_weights(), strict=True):
        mixed = jnp.einsum("co,bo->bc", channels, weights)
        found.append(jnp.einsum("bijc,bc->bij", level.astype(jnp.float32), mixed))
    return found


def summed(
    levels: Sequence[Float[np.ndarray, "b _ _"]],
    size: tuple[int, int],
    firsts: Sequence[First],
) -> Float[np.ndarray, "b h w"]:
    """The levels at one size (bicubic, as published), added up.

    `firsts` says where in the picture the first cell of each level stands.
    """
    total = np.zeros((len(levels[0]), *size), np.float32)
    for level, first in zip(levels, firsts, strict=True):
        for row, one in enumerate(level):
            total[row] += enlarged(one, size, first, cv2.INTER_CUBIC)
    return total
