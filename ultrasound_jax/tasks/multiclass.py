"""Exactly one of several classes is true."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int8

from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.spec import Spec
from ultrasound_jax.tasks._labelled import WEIGHTS, OfLabels
from ultrasound_jax.tasks._protocol import (
    Fields,
    TaskError,
    Term,
    check_choice,
)
from ultrasound_jax.tasks.multilabel import macro_auroc


@dataclass(frozen=True)
class MultiClass(OfLabels):
    """Classes that exclude each other: softmax, and the most probable one is decided.

    The loss is cross-entropy, averaged over the examples whose class is known; where
    classes are weighed, over the sum of the examples' weights, as PyTorch has it.
    Labels smoothed by `e` share `e` evenly among all classes.
    """

    SELECT: ClassVar = {"macro_auroc": 1, "balanced_accuracy": 1}
    decision: ClassVar = "argmax"

    class_weight: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    @classmethod
    def make(
        cls,
        spec: Spec,
        labels: Int8[np.ndarray, "n k"] | None = None,
        *,
        class_weights: str = "none",
        label_smoothing: float = 0.0,
    ) -> "MultiClass":
        """The task; `balanced` weighs a class by how rare it is, 1 on the average."""
        check_choice("class_weights", class_weights, WEIGHTS)
        if not 0 <= label_smoothing < 1:
            raise TaskError(
                f"config.task.options.label_smoothing={label_smoothing} is not "
                "allowed: it must be from 0 to below 1"
            )
        task = cls(spec, None, label_smoothing)
        if task.outputs < 2:
            raise TaskError(
                f"task 'multiclass' needs two classes or more; the dataset has "
                f"{', '.join(task.classes) or 'none'}"
            )
        if class_weights == "none" or labels is None:
            return task
        counts = np.maximum((labels == 1).sum(axis=0), 1)
        weight = tuple((counts.sum() / (len(counts) * counts)).tolist())
        return cls(spec, weight, label_smoothing)

    def _each(self, batch: Fields) -> Float[Array, " b"]:
        """How much each example counts; 0 where its class is not known."""
        labels = batch["labels"]
        weight = jnp.array(self.class_weight or (1.0,) * self.outputs, jnp.float32)
        return jnp.where(known(labels), ((labels == 1) * weight).sum(axis=1), 0.0)

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """The sum of the examples' weights."""
        return {"cross_entropy": self._each(batch).sum()}

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """The weighted sum of the examples' cross-entropies."""
        target = (fields["labels"] == 1).astype(jnp.float32)
        target = optax.smooth_labels(target, self.label_smoothing)
        logits = outputs["logits"].astype(jnp.float32)
        weights = self._each(fields)
        # Filling rows may have any logits; their loss must stay out of the gradient.
        entropy = optax.softmax_cross_entropy(logits, target)
        each = jnp.where(weights > 0, entropy * weights, 0.0)
        return {"cross_entropy": Term(each.sum(), weights.sum(), each)}

    def scores(self, outputs: Mapping[str, Any]) -> Float[Array, "b k"]:
        """Each class's probability."""
        return jax.nn.softmax(jnp.asarray(outputs["logits"]).astype(jnp.float32))

    def table(
        self, ids: Mapping[str, Any], columns: Mapping[str, np.ndarray]
    ) -> Predictions:
        """A row an example with the label and the score of each class."""
        labels = ids["labels"]
        strange = np.flatnonzero(~np.asarray(known(labels)))
        if len(strange):
            raise TaskError(
                f"example {ids['example_id'][strange[0]]!r} has the labels "
                f"{labels[strange[0]].tolist()}; task 'multiclass' judges examples of "
                f"exactly one class ({len(strange)} are not)"
            )
        scores = columns["scores"].astype(float)
        given = dict(ids) | {"labels": labels.astype(float), "scores": scores}
        frames = columns.get("frames")
        return Predictions(classes=self.classes, frames=frames, **given)

    def quality(self, table: Predictions) -> dict[str, float]:
        """Macro AUROC, each class against the rest, and balanced accuracy."""
        truth, decided = table.labels.argmax(axis=1), table.scores.argmax(axis=1)
        there = [k for k in range(self.outputs) if (truth == k).any()]
        recalls = [float((decided[truth == k] == k).mean()) for k in there]
        return macro_auroc(table) | {"balanced_accuracy": float(np.mean(recalls))}


def known(labels: Any) -> Bool[Any, " b"]:
    """Whether exactly one class of an example is present and the others absent."""
    return ((labels == 1).sum(axis=1) == 1) & (labels >= 0).all(axis=1)


TASK = MultiClass
