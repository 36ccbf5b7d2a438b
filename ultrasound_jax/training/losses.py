"""Losses, each as a sum with its weight, so that parts of a batch can be added."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


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
