"""Losses, each as a sum with its weight, so that parts of a batch can be added."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

FOCAL_EPSILON = 1e-6  # added to the probability, as the skin-tumour study has it


def binary_cross_entropy(
    logits: Float[Array, "b k"],
    labels: Int[Array, "b k"],
    positive_weight: Float[Array, " k"] | None = None,
) -> Float[Array, "b k"]:
    """The loss of each entry, 0 where the label is -1 (not annotated).

    `positive_weight` multiplies the term of a positive label, class by class.
    """
    entropy = optax.sigmoid_binary_cross_entropy(
        logits.astype(jnp.float32), (labels == 1).astype(jnp.float32)
    )
    if positive_weight is not None:
        entropy = jnp.where(labels == 1, entropy * positive_weight, entropy)
    return jnp.where(labels >= 0, entropy, 0.0)


def focal_loss(
    logits: Float[Array, "b k"],
    target: Float[Array, "b k"],
    *,
    gamma: float,
    alpha: Float[Array, " k"],
) -> Float[Array, " b"]:
    """What of cross-entropy is left where the true class is not yet found.

    Of the true class's probability p, with 1e-6 added: -alpha (1 - p)^gamma log p (Lin
    et al., ICCV 2017, of a softmax). `target` has a 1 in the column of the true class.
    1 - p is kept above 0, where a power that is no whole number has no gradient.
    """
    shares = jax.nn.softmax(logits.astype(jnp.float32))
    found = (shares * target).sum(axis=1) + FOCAL_EPSILON
    missed = jnp.maximum(1.0 - found, FOCAL_EPSILON**2)
    return -(target * alpha).sum(axis=1) * missed**gamma * jnp.log(found)
