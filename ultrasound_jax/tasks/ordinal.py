"""One of several levels in an order: severities, grades, lung ultrasound scores.

Cumulative logits (McCullagh 1980): the probability that the level is k or more is
sigmoid(c_k), and c_k falls with k. The network's first output is c_1; each further one
is, through a softplus, how much lower the next lies, so that thresholds are in order
whatever the network says. The proportional odds of the source, by which these
distances are the same for all examples, are not asked for. A level's probability is the
difference of two neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int8

from ultrasound_jax.analysis.stats._parts.ordered import (
    are_levels,
    pair_counts,
    quadratic_kappa,
)
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.data.spec import INDEX, Spec
from ultrasound_jax.tasks._labelled import OfLabels
from ultrasound_jax.tasks._protocol import Fields, TaskError, Term
from ultrasound_jax.tasks.multiclass import known
from ultrasound_jax.tasks.multilabel import macro_auroc
from ultrasound_jax.types import UNKNOWN

SMALLEST = 1e-4  # between two thresholds: a level of no width would have the loss inf


@dataclass(frozen=True)
class Ordinal(OfLabels):
    """Levels in an order, of clips or images; the most probable one is decided.

    The loss is the mean negative logarithm of the true level's probability, over the
    examples whose level is known. `graded` is the field that has the level.
    """

    NEEDS: ClassVar = ("pixels",)
    USES: ClassVar = ("labels", "number")
    SELECT: ClassVar = {
        "quadratic_kappa": 1,
        "mean_absolute_error": -1,
        "macro_auroc": 1,
    }
    decision: ClassVar = "argmax"

    graded: str = ""

    @classmethod
    def make(
        cls,
        spec: Spec,
        labels: Int8[np.ndarray, "n k"] | None = None,
        *,
        field: str = "",
    ) -> "Ordinal":
        """The task on the levels of `field`.

        A number whose values the dataset names, or `labels` whose classes are levels.
        Empty, it is the only such number, or the labels where there is none.
        """
        numbers = [name for name in spec.of_role("number") if spec[name].classes]
        there = [*numbers, *spec.of_role("labels")]
        listed = ", ".join(there) or "none"
        if field and field not in there:
            raise TaskError(
                f"config.task.options.field={field!r} is not allowed: of this dataset "
                f"it must be one of {listed}"
            )
        if not field and (len(numbers) > 1 or not there):
            raise TaskError(
                "task 'ordinal' needs one field with levels; the dataset has "
                f"{listed}: give config.task.options.field"
            )
        chosen = field or there[0]
        classes = spec[chosen].classes
        if not are_levels(classes):
            raise TaskError(
                f"task 'ordinal': the classes of '{chosen}' are "
                f"{', '.join(classes) or 'none'}; levels are called by consecutive "
                "numbers, as 0, 1, 2 or grade_1, grade_2"
            )
        used = {*spec.of_role("pixels"), chosen}
        fields = {name: one for name, one in spec.items() if name in used}
        return cls(Spec(fields, spec.units), chosen)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the levels."""
        return self.spec[self.graded].classes

    @property
    def outputs(self) -> int:
        """One logit for each level above the lowest."""
        return len(self.classes) - 1

    def level(self, fields: Fields) -> Int[Array, " b"]:
        """The place of each example's level; -1 where it is not known."""
        value = fields[self.graded].astype(jnp.int32)
        if self.spec[self.graded].role == "labels":
            value = jnp.where(known(value), value.argmax(axis=1), UNKNOWN)
        there = (value >= 0) & (value < len(self.classes)) & (fields[INDEX] >= 0)
        return jnp.where(there, value, UNKNOWN)

    def log_shares(self, outputs: Mapping[str, Any]) -> Float[Array, "*b k"]:
        """The logarithm of each level's probability.

        sigmoid(a) - sigmoid(b) is sigmoid(a) sigmoid(-b) (1 - exp(b - a)), which does
        not cancel where both are near 0 or 1.
        """
        logits = jnp.asarray(outputs["logits"]).astype(jnp.float32)
        apart = jax.nn.softplus(logits[..., 1:]) + SMALLEST
        first = logits[..., :1]
        reached = jnp.concatenate([first, first - jnp.cumsum(apart, -1)], -1)
        none = jnp.zeros_like(first)
        above = jnp.concatenate([none, jax.nn.log_sigmoid(reached)], -1)
        below = jnp.concatenate([jax.nn.log_sigmoid(-reached), none], -1)
        between = jnp.concatenate([none, jnp.log(-jnp.expm1(-apart)), none], -1)
        return above + below + between

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """The number of examples whose level is known."""
        return {"ordinal": (self.level(batch) >= 0).sum().astype(jnp.float32)}

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """The sum of the examples' losses."""
        level = self.level(fields)
        place = jnp.maximum(level, 0)[:, None]
        found = jnp.take_along_axis(self.log_shares(outputs), place, axis=1)[:, 0]
        # Filling rows may have any logits; their loss must stay out of the gradient.
        each = jnp.where(level >= 0, -found, 0.0)
        return {"ordinal": Term(each.sum(), self.weights(fields)["ordinal"], each)}

    def scores(self, outputs: Mapping[str, Any]) -> Float[Array, "*b k"]:
        """Each level's probability."""
        return jnp.exp(self.log_shares(outputs))

    def keep(self, outputs: Fields, fields: Fields) -> Fields:
        """The scores, and the level, which the host's labels need not be."""
        return {"scores": self.scores(outputs), "level": self.level(fields)}

    def table(
        self, ids: Mapping[str, Any], columns: Mapping[str, np.ndarray]
    ) -> Predictions:
        """A row an example with the label and the score of each level.

        Examples whose level is not known are in it, without labels.
        """
        level = np.asarray(columns["level"])[:, None]
        labels = (level == np.arange(len(self.classes))).astype(float)
        labels[level[:, 0] < 0] = np.nan
        scores = columns["scores"].astype(float)
        given = dict(ids) | {"labels": labels, "scores": scores}
        frames = columns.get("frames")
        return Predictions(classes=self.classes, frames=frames, **given)

    def quality(self, table: Predictions) -> dict[str, float]:
        """Weighted kappa and the mean error in levels, as a report has them.

        And the macro AUROC, each level against the rest.
        """
        there = table.rows(np.flatnonzero((table.labels == 1).any(axis=1)))
        if not len(there):
            return {}
        truth, decided = there.labels.argmax(axis=1), there.scores.argmax(axis=1)
        kappa = quadratic_kappa(pair_counts(truth, decided, len(self.classes))[None])[0]
        found = {"mean_absolute_error": float(np.abs(truth - decided).mean())}
        if not np.isnan(kappa):
            found["quadratic_kappa"] = float(kappa)
        return found | macro_auroc(there)


TASK = Ordinal
