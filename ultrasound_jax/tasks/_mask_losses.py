"""Losses of masks, on logits: a number an example, so that parts of a batch add up.

`logits` have one channel for a single structure (a sigmoid), or one for the background
and one a structure (a softmax); `truth` has one a structure. All is computed in float32
and is defined, with its gradient, where a mask is empty or full, true or found.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

SMOOTH = 1.0  # pixels added to both parts of the soft Dice and of the soft IoU


def shares(logits: Float[Array, "b *space j"]) -> Float[Array, "b *space k"]:
    """Each structure's probability at each pixel."""
    logits = logits.astype(jnp.float32)
    if logits.shape[-1] == 1:
        return jax.nn.sigmoid(logits)
    return jax.nn.softmax(logits)[..., 1:]


def log_shares(
    logits: Float[Array, "b *space j"], truth: Bool[Array, "b *space k"]
) -> tuple[Float[Array, "b *space"], Float[Array, "b *space"]]:
    """The logarithms of what a pixel's true class and all others are given.

    Neither is the logarithm of a difference from 1, so that both are exact in the
    tails, and finite for finite logits.
    """
    logits = logits.astype(jnp.float32)
    if logits.shape[-1] == 1:
        right = jnp.where(truth, logits, -logits)[..., 0]
        return jax.nn.log_sigmoid(right), jax.nn.log_sigmoid(-right)
    background = ~truth.any(axis=-1, keepdims=True)
    target = jnp.concatenate([background, truth], axis=-1)
    right = jnp.where(target, jax.nn.log_softmax(logits), 0.0).sum(axis=-1)
    others = jax.nn.logsumexp(jnp.where(target, -jnp.inf, logits), axis=-1)
    return right, others - jax.nn.logsumexp(logits, axis=-1)


def cross_entropy(
    logits: Float[Array, "b *space j"], truth: Bool[Array, "b *space k"]
) -> Float[Array, " b"]:
    """The mean of the pixels' cross-entropy."""
    right, _ = log_shares(logits, truth)
    return -right.mean(_space(right))


def focal(
    logits: Float[Array, "b *space j"],
    truth: Bool[Array, "b *space k"],
    *,
    gamma: float,
    alpha: tuple[float, float],
    constant: bool = False,
) -> Float[Array, " b"]:
    """The mean of `-alpha (1 - p)^gamma log p`, p being the true class's probability.

    Lin et al. (ICCV 2017), without the small numbers that published code adds to p.

    Args:
        logits: of the network.
        truth: where each structure is.
        gamma: how fast a pixel that is found right ceases to count.
        alpha: what a pixel of a structure counts, and one of the background.
        constant: the weight `(1 - p)^gamma` has no gradient of its own (FusionLungNet).
    """
    right, wrong = log_shares(logits, truth)
    weight = jnp.exp(gamma * wrong)  # a power of 1 - p, which may be 0, has no gradient
    if constant:
        weight = jax.lax.stop_gradient(weight)
    weight = weight * jnp.where(truth.any(axis=-1), *alpha)
    return -(weight * right).mean(_space(right))


def dice(
    logits: Float[Array, "b *space j"], truth: Bool[Array, "b *space k"]
) -> Float[Array, " b"]:
    """`1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1)`, the mean over the structures."""
    hit, found, true = _sums(logits, truth)
    overlap = (2 * hit + SMOOTH) / (found + true + SMOOTH)
    return (1 - overlap).mean(axis=-1)


def batch_dice(
    logits: Float[Array, "b *space j"],
    truth: Bool[Array, "b *space k"],
    counts: Bool[Array, " b"],
) -> Float[Array, " b"]:
    """The same of the sums over all examples that count, which each of them is given.

    It is no sum over examples: that of two halves of a batch is not the batch's. Where
    it is not finite, it is given to those alone whose own sums are not.
    """
    sums = _sums(logits, truth)
    whole = [jnp.where(counts[:, None], each, 0.0).sum(axis=0) for each in sums]
    hit, found, true = whole
    value = (1 - (2 * hit + SMOOTH) / (found + true + SMOOTH)).mean()
    sound = jnp.isfinite(sums[0] + sums[1]).all(axis=-1)
    told = jnp.where(jnp.isfinite(value), value, 0.0)
    return jnp.where(sound, told, jnp.nan)


def iou(
    logits: Float[Array, "b *space j"], truth: Bool[Array, "b *space k"]
) -> Float[Array, " b"]:
    """`1 - (sum(p t) + 1) / (sum(p) + sum(t) - sum(p t) + 1)`, mean over structures.

    FusionLungNet's has no 1, and is 0/0 where both are empty.
    """
    hit, found, true = _sums(logits, truth)
    overlap = (hit + SMOOTH) / (found + true - hit + SMOOTH)
    return (1 - overlap).mean(axis=-1)


def _sums(
    logits: Float[Array, "b *space j"], truth: Bool[Array, "b *space k"]
) -> tuple[Float[Array, "b k"], Float[Array, "b k"], Float[Array, "b k"]]:
    """What of each structure is found and true, found, and true, in pixels."""
    found, true = shares(logits), truth.astype(jnp.float32)
    space = tuple(range(1, truth.ndim - 1))
    return (found * true).sum(space), found.sum(space), true.sum(space)


def _space(pixels: Float[Array, "b *space"]) -> tuple[int, ...]:
    return tuple(range(1, pixels.ndim))
