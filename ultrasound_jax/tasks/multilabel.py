"""Several findings may be present at once, each with a label of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int8

from ultrasound_jax.analysis.stats._parts import metrics
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.spec import Spec
from ultrasound_jax.tasks._labelled import WEIGHTS, OfLabels
from ultrasound_jax.tasks._protocol import (
    Fields,
    Term,
    check_choice,
)
from ultrasound_jax.training import losses
from ultrasound_jax.types import UNKNOWN


@dataclass(frozen=True)
class MultiLabel(OfLabels):
    """Findings that do not exclude each other (LUV-Net, section 4).

    The loss is binary cross-entropy, averaged over annotated entries; the original
    averages over all, which is the same where all are annotated.
    """

    SELECT: ClassVar = {"macro_auroc": 1}
    decision: ClassVar = "threshold"

    positive_weight: tuple[float, ...] | None = None

    @classmethod
    def make(
        cls,
        spec: Spec,
        labels: Int8[np.ndarray, "n k"] | None = None,
        *,
        class_weights: str = "none",
    ) -> "MultiLabel":
        """The task; `balanced` weighs a positive by negatives over positives."""
        check_choice("class_weights", class_weights, WEIGHTS)
        if class_weights == "none" or labels is None:
            return cls(spec)
        return cls(spec, positive_weights(labels))

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """The number of annotated entries."""
        return {"cross_entropy": (batch["labels"] >= 0).sum().astype(jnp.float32)}

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """The sum of the entries' losses and how many were annotated."""
        weight = (
            None if self.positive_weight is None else jnp.array(self.positive_weight)
        )
        labels = fields["labels"].astype(jnp.int32)
        entries = losses.binary_cross_entropy(outputs["logits"], labels, weight)
        weights = self.weights(fields)["cross_entropy"]
        return {"cross_entropy": Term(entries.sum(), weights, entries.sum(axis=1))}

    def scores(self, outputs: Mapping[str, Any]) -> Float[Array, "b k"]:
        """Each finding's probability."""
        return jax.nn.sigmoid(jnp.asarray(outputs["logits"]).astype(jnp.float32))

    def table(
        self, ids: Mapping[str, Any], columns: Mapping[str, np.ndarray]
    ) -> Predictions:
        """A row an example with the label and the score of each finding."""
        labels = ids["labels"].astype(float)
        labels[labels == UNKNOWN] = np.nan
        scores = columns["scores"].astype(float)
        given = dict(ids) | {"labels": labels, "scores": scores}
        frames = columns.get("frames")
        return Predictions(classes=self.classes, frames=frames, **given)

    def quality(self, table: Predictions) -> dict[str, float]:
        """The mean AUROC over the findings that have both kinds of examples."""
        return macro_auroc(table)


def macro_auroc(table: Predictions) -> dict[str, float]:
    """The mean AUROC over the classes in which it is defined; nothing if none is."""
    values = [
        metrics.auroc(table.labels[:, k], table.scores[:, k])
        for k in range(len(table.classes))
    ]
    defined = [v for v in values if v is not None]
    return {"macro_auroc": float(np.mean(defined))} if defined else {}


def positive_weights(labels: Int8[np.ndarray, "n k"]) -> tuple[float, ...]:
    """Negatives over positives of each class; 1 where either is missing."""
    positives = (labels == 1).sum(axis=0)
    negatives = ((labels != 1) & (labels != UNKNOWN)).sum(axis=0)
    pairs = zip(positives, negatives, strict=True)
    return tuple(float(n / p) if p and n else 1.0 for p, n in pairs)


TASK = MultiLabel
