"""Tasks: what a batch asks of a network, and how its answer is judged.

The training loop varies here and nowhere else. A task says how to call the network on
a batch, what the loss is, which part of the outputs is kept as scores, and what makes
one validation better than another.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ultrasound_jax.analysis.stats._parts import metrics
from ultrasound_jax.training import losses


class LossTerms(NamedTuple):
    """A batch's loss in parts: `total / weight` is the mean over annotated entries."""

    total: Float[Array, ""]
    weight: Float[Array, ""]
    per_example: Float[Array, " b"]


@runtime_checkable
class Task(Protocol):
    """The variation point of the loop."""

    def inputs(self, batch: dict[str, Array]) -> tuple[Any, ...]:
        """Returns the network's arguments, pixels first as floats in [0, 1]."""
        ...

    def weight(self, batch: dict[str, Array]) -> Float[Array, ""]:
        """Returns how many entries of the batch count in its loss."""
        ...

    def loss(self, outputs: dict[str, Array], batch: dict[str, Array]) -> LossTerms:
        """Compares the network's outputs with the targets."""
        ...

    def scores(self, outputs: dict[str, Array]) -> Float[Array, "b k"]:
        """Returns what the predictions table keeps, in [0, 1]."""
        ...

    def quality(self, scores: np.ndarray, labels: np.ndarray) -> float | None:
        """Returns a number to select on, higher is better; None where undefined."""
        ...


@dataclass(frozen=True)
class MultiLabelClips:
    """Several patterns may be present in a clip at once (LUV-Net, section 4).

    The loss is binary cross-entropy, averaged over annotated entries; the original
    averages over all, which is the same where all are annotated.
    """

    classes: tuple[str, ...]
    positive_weight: tuple[float, ...] | None = None

    def inputs(self, batch: dict[str, Array]) -> tuple[Any, ...]:
        """Returns the clip in [0, 1] and the true lengths."""
        return batch["clip"].astype(jnp.float32) / 255.0, batch["length"]

    def weight(self, batch: dict[str, Array]) -> Float[Array, ""]:
        """Returns the number of annotated entries."""
        return (batch["labels"] >= 0).sum().astype(jnp.float32)

    def loss(self, outputs: dict[str, Array], batch: dict[str, Array]) -> LossTerms:
        """Returns the sum of the entries' losses and how many were annotated."""
        weight = (
            None if self.positive_weight is None else jnp.array(self.positive_weight)
        )
        labels = batch["labels"].astype(jnp.int32)
        entries = losses.binary_cross_entropy(outputs["logits"], labels, weight)
        return LossTerms(entries.sum(), self.weight(batch), entries.sum(axis=1))

    def scores(self, outputs: dict[str, Array]) -> Float[Array, "b k"]:
        """Returns each pattern's probability."""
        return jax.nn.sigmoid(outputs["logits"].astype(jnp.float32))

    def quality(self, scores: np.ndarray, labels: np.ndarray) -> float | None:
        """Returns the mean AUROC over the patterns that have both kinds of clips."""
        known = np.where(labels < 0, np.nan, labels.astype(float))
        values = [
            metrics.auroc(known[:, k], scores[:, k]) for k in range(labels.shape[1])
        ]
        defined = [v for v in values if v is not None]
        return float(np.mean(defined)) if defined else None
