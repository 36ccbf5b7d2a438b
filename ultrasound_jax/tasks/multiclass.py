"""Exactly one of several classes is true."""

import math
from collections.abc import Mapping, Sequence
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
from ultrasound_jax.training import losses

CROSS_ENTROPY, FOCAL, BINARY = LOSSES = ("cross_entropy", "focal", "bce")
PUBLISHED_GAMMA = 3.0
# Epidermal cyst, lipoma, pilomatricoma (Sensors 2023, 23, 7374): the last is the rarest
# of the three, so that this is the opposite of balancing.
PUBLISHED_ALPHA = (0.75, 0.75, 0.25)
ALPHAS = ("none", "published", "inverse_frequency")


@dataclass(frozen=True)
class MultiClass(OfLabels):
    """Classes that exclude each other: softmax, and the most probable one is decided.

    The loss is `cross_entropy`, averaged over the examples whose class is known; where
    classes are weighed, over the sum of the examples' weights, as PyTorch has it.
    Labels smoothed by `e` share `e` evenly among all classes. `focal` is the mean of
    `focal_loss`, whose `alpha` weighs the classes. `bce` is for two classes and a
    network of one output, the logit of the second class.
    """

    SELECT: ClassVar = {"macro_auroc": 1, "balanced_accuracy": 1}
    decision: ClassVar = "argmax"

    class_weight: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    objective: str = CROSS_ENTROPY
    gamma: float = PUBLISHED_GAMMA
    alpha: tuple[float, ...] | None = None

    @classmethod
    def make(
        cls,
        spec: Spec,
        labels: Int8[np.ndarray, "n k"] | None = None,
        *,
        loss: str = CROSS_ENTROPY,
        class_weights: str = "none",
        label_smoothing: float = 0.0,
        gamma: float | int | None = None,
        alpha: str | Sequence[float | int] = "none",
    ) -> "MultiClass":
        """The task; `balanced` weighs a class by how rare it is, 1 on the average.

        `gamma` (3 if None) and `alpha` are of the focal loss: `none` weighs all classes
        alike, `inverse_frequency` as `balanced` does, `published` is PUBLISHED_ALPHA,
        of three classes; or a number for each class.
        """
        check_choice("loss", loss, LOSSES)
        check_choice("class_weights", class_weights, WEIGHTS)
        if not 0 <= label_smoothing < 1:
            raise TaskError(
                f"config.task.options.label_smoothing={label_smoothing} is not "
                "allowed: it must be from 0 to below 1"
            )
        of_others = {
            "gamma": (gamma, None, FOCAL),
            "alpha": (alpha, "none", FOCAL),
            "class_weights": (class_weights, "none", f"{CROSS_ENTROPY} or {BINARY}"),
            "label_smoothing": (label_smoothing, 0, f"{CROSS_ENTROPY} or {BINARY}"),
        }
        for option, (value, unset, used_by) in of_others.items():
            if loss not in used_by.split(" or ") and value != unset:
                raise TaskError(
                    f"config.task.options.{option}={value!r} is not used by "
                    f"loss={loss!r}; it is of {used_by}"
                )
        task = cls(spec)
        _check_classes(task.classes, loss)
        return cls(
            spec,
            None if class_weights == "none" else _rarity(labels),
            label_smoothing,
            loss,
            _checked_gamma(PUBLISHED_GAMMA if gamma is None else gamma),
            _alpha_of(alpha, task.classes, labels),
        )

    @property
    def outputs(self) -> int:
        """One logit a class; of `bce` one alone."""
        return 1 if self.objective == BINARY else len(self.classes)

    def _each(self, batch: Fields) -> Float[Array, " b"]:
        """How much each example counts; 0 where its class is not known."""
        labels = batch["labels"]
        alike = (1.0,) * len(self.classes)
        weight = jnp.array(self.class_weight or alike, jnp.float32)
        return jnp.where(known(labels), ((labels == 1) * weight).sum(axis=1), 0.0)

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """The sum of the examples' weights."""
        return {self.objective: self._each(batch).sum()}

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """The weighted sum of the examples' losses."""
        target = (fields["labels"] == 1).astype(jnp.float32)
        logits = outputs["logits"].astype(jnp.float32)
        weights = self._each(fields)
        # Filling rows may have any logits; their loss must stay out of the gradient.
        each = jnp.where(weights > 0, self._losses(logits, target) * weights, 0.0)
        return {self.objective: Term(each.sum(), weights.sum(), each)}

    def _losses(
        self, logits: Float[Array, "b j"], target: Float[Array, "b k"]
    ) -> Float[Array, " b"]:
        """The loss of each example, not weighed."""
        if self.objective == FOCAL:
            alpha = jnp.array(self.alpha or (1.0,) * len(self.classes), jnp.float32)
            return losses.focal_loss(logits, target, gamma=self.gamma, alpha=alpha)
        target = optax.smooth_labels(target, self.label_smoothing)
        if self.objective == BINARY:
            return optax.sigmoid_binary_cross_entropy(logits[:, 0], target[:, 1])
        return optax.softmax_cross_entropy(logits, target)

    def scores(self, outputs: Mapping[str, Any]) -> Float[Array, "b k"]:
        """Each class's probability."""
        logits = jnp.asarray(outputs["logits"]).astype(jnp.float32)
        if self.objective == BINARY:
            # Both from the logit: 1 - p would be 0 where p rounds to 1.
            return jax.nn.sigmoid(jnp.concatenate([-logits, logits], axis=-1))
        return jax.nn.softmax(logits)

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
        there = [k for k in range(len(self.classes)) if (truth == k).any()]
        recalls = [float((decided[truth == k] == k).mean()) for k in there]
        return macro_auroc(table) | {"balanced_accuracy": float(np.mean(recalls))}


def known(labels: Any) -> Bool[Any, " b"]:
    """Whether exactly one class of an example is present and the others absent."""
    return ((labels == 1).sum(axis=1) == 1) & (labels >= 0).all(axis=1)


def _check_classes(classes: Sequence[str], loss: str) -> None:
    if len(classes) < 2:
        raise TaskError(
            f"task 'multiclass' needs two classes or more; the dataset has "
            f"{', '.join(classes) or 'none'}"
        )
    if loss == BINARY and len(classes) > 2:
        raise TaskError(
            f"config.task.options.loss={loss!r} is not allowed: it is of two classes; "
            f"the dataset has {', '.join(classes)}"
        )


def _rarity(labels: Int8[np.ndarray, "n k"] | None) -> tuple[float, ...] | None:
    """How rare each class is, 1 for the average example; None without labels."""
    if labels is None:
        return None
    counts = np.maximum((labels == 1).sum(axis=0), 1)
    return tuple((counts.sum() / (len(counts) * counts)).tolist())


def _checked_gamma(gamma: float | int) -> float:
    if not 0 <= gamma < math.inf:
        raise TaskError(
            f"config.task.options.gamma={gamma} is not allowed: it must be 0 or more "
            "and finite"
        )
    return float(gamma)


def _alpha_of(
    alpha: str | Sequence[float | int],
    classes: Sequence[str],
    labels: Int8[np.ndarray, "n k"] | None,
) -> tuple[float, ...] | None:
    """The weight of each class in the focal loss; None where all weigh alike."""
    if isinstance(alpha, str):
        if alpha not in ALPHAS:
            raise TaskError(
                f"config.task.options.alpha={alpha!r} is not allowed: it must be one "
                f"of {', '.join(ALPHAS)}, or a number for each class"
            )
        if alpha != "published":
            return _rarity(labels) if alpha == "inverse_frequency" else None
        found: tuple[float, ...] = PUBLISHED_ALPHA
    else:
        found = tuple(float(one) for one in alpha)
    if len(found) != len(classes) or not all(0 < one < math.inf for one in found):
        raise TaskError(
            f"config.task.options.alpha={alpha!r} is not allowed: it must be a number "
            f"above 0 for each of {', '.join(classes)}"
        )
    return found


TASK = MultiClass
