"""Every pixel belongs to one of several structures, or to the background."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int8

from ultrasound_jax.analysis.stats._parts.mask_figures import of_images
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.data.spec import INDEX, PIXEL_MM, Spec
from ultrasound_jax.tasks._mask_measures import Measures, named
from ultrasound_jax.tasks._protocol import Fields, OfPixels, TaskError, Term

SMOOTH = 1.0  # pixels added to both parts of the soft Dice


@dataclass(frozen=True)
class Segmentation(OfPixels):
    """Masks: cross-entropy of the pixels and soft Dice of the structures, added.

    One structure is a sigmoid with the limit 0.5; several are a softmax with the
    background. A term is the mean over the examples: each example counts alike,
    however large what it shows is. The soft Dice of an example is over its whole
    picture, `1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1)`.
    """

    NEEDS: ClassVar = ("pixels", "mask")
    USES: ClassVar = ("number",)
    SELECT: ClassVar = {"mean_dice": 1, "pooled_dice": 1}
    decision: ClassVar = "mask"

    cross_entropy: float = 1.0
    dice: float = 1.0
    measures: Measures = Measures()

    @classmethod
    def make(
        cls,
        spec: Spec,
        labels: Int8[np.ndarray, "n k"] | None = None,
        *,
        cross_entropy: float = 1.0,
        dice: float = 1.0,
        tolerance: float | int = Measures.tolerance,
        tolerance_mm: float | int | None = None,
        lesion_iou: float | int = Measures.lesion_iou,
    ) -> "Segmentation":
        """The task; the options weigh the terms of the loss, and say how to measure.

        See `Measures` of the latter.
        """
        for name, value in (("cross_entropy", cross_entropy), ("dice", dice)):
            if value < 0:
                raise TaskError(
                    f"config.task.options.{name}={value} is not allowed: it must be 0 "
                    "or more"
                )
        if cross_entropy == dice == 0:
            raise TaskError(
                "config.task.options.cross_entropy and .dice are both 0: nothing would "
                "be learnt"
            )
        if tolerance_mm is not None and PIXEL_MM not in spec:
            raise TaskError(
                f"config.task.options.tolerance_mm={tolerance_mm} is not allowed: the "
                f"dataset has no field '{PIXEL_MM}'; allowed is tolerance, in pixels"
            )
        in_mm = Measures.tolerance_mm if tolerance_mm is None else tolerance_mm
        measures = Measures(tolerance, in_mm, lesion_iou)
        task = cls(spec, cross_entropy, dice, measures)
        shape = spec[task._mask].shape
        if len(shape) < 3 or shape[-1] != 1:
            raise TaskError(
                f"the field '{task._mask}' has the shape {shape}; a mask ends with an "
                "axis of one, which holds the number of the structure"
            )
        if not task.classes:
            raise TaskError("the field with the masks names no structures")
        return task

    @property
    def _mask(self) -> str:
        return self.spec.of_role("mask")[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """The structures."""
        return self.spec[self._mask].classes

    @property
    def outputs(self) -> int:
        """A logit a structure, and one for the background where there are several."""
        return 1 if len(self.classes) == 1 else len(self.classes) + 1

    @property
    def space(self) -> tuple[int, ...]:
        """Those of the mask."""
        return self.spec[self._mask].batch_shape(self._mask)[:-1]

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """The number of examples; rows that only fill a batch do not count."""
        count = (batch[INDEX] >= 0).sum().astype(jnp.float32)
        named = {"cross_entropy": self.cross_entropy, "dice": self.dice}
        return {name: count for name, share in named.items() if share}

    def _truth(self, fields: Fields) -> Bool[Array, "b *space k"]:
        values = jnp.arange(1, len(self.classes) + 1)
        return fields[self._mask] == values

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """Both terms as sums over the examples."""
        logits = outputs["logits"].astype(jnp.float32)
        truth = self._truth(fields).astype(jnp.float32)
        space = tuple(range(1, truth.ndim - 1))
        if self.outputs == 1:
            entropy = optax.sigmoid_binary_cross_entropy(logits, truth)[..., 0]
            shares = jax.nn.sigmoid(logits)
        else:
            background = 1.0 - truth.sum(axis=-1, keepdims=True)
            target = jnp.concatenate([background, truth], axis=-1)
            entropy = optax.softmax_cross_entropy(logits, target)
            shares = jax.nn.softmax(logits)[..., 1:]
        both = 2 * (shares * truth).sum(space) + SMOOTH
        overlap = both / (shares.sum(space) + truth.sum(space) + SMOOTH)
        found = {
            "cross_entropy": self.cross_entropy * entropy.mean(space),
            "dice": self.dice * (1 - overlap).mean(axis=-1),
        }
        counts = fields[INDEX] >= 0
        terms = {}
        for name, weight in self.weights(fields).items():
            each = jnp.where(counts, found[name], 0.0)
            terms[name] = Term(each.sum(), weight, each)
        return terms

    def scores(self, outputs: Mapping[str, Any]) -> Float[Array, "b *space k"]:
        """Each structure's probability at each pixel."""
        logits = jnp.asarray(outputs["logits"]).astype(jnp.float32)
        if self.outputs == 1:
            return jax.nn.sigmoid(logits)
        return jax.nn.softmax(logits)[..., 1:]

    def decided(self, outputs: Fields) -> Bool[Array, "b *space k"]:
        """The pixels that are given to each structure."""
        if self.outputs == 1:
            return outputs["logits"] > 0
        values = jnp.arange(1, len(self.classes) + 1)
        return outputs["logits"].argmax(axis=-1)[..., None] == values

    def keep(self, outputs: Fields, fields: Fields) -> Fields:
        """Pixels found rightly, wrongly and not at all, both masks, and their scale."""
        found, truth = self.decided(outputs), self._truth(fields)
        space = tuple(range(1, truth.ndim - 1))
        scale = {name: fields[name] for name in (PIXEL_MM,) if name in fields}
        return scale | {
            "tp": (found & truth).sum(space),
            "fp": (found & ~truth).sum(space),
            "fn": (~found & truth).sum(space),
            "found": found,
            "truth": truth,
        }

    def columns(
        self, kept: Mapping[str, np.ndarray], *, full: bool
    ) -> dict[str, np.ndarray]:
        """The counts; for the final table also what `Measures` has and found masks."""
        columns = {name: np.asarray(kept[name]) for name in ("tp", "fp", "fn")}
        if not full:
            return columns
        found, truth = np.asarray(kept["found"]), np.asarray(kept["truth"])
        columns |= self.measures.columns(found, truth, kept.get(PIXEL_MM))
        values = np.arange(1, len(self.classes) + 1, dtype=np.uint8)
        columns["found"] = (kept["found"] * values).max(axis=-1).astype(np.uint8)
        return columns

    def table(
        self, ids: Mapping[str, Any], columns: Mapping[str, np.ndarray]
    ) -> MaskTable:
        """A row an example with the counts of each structure."""
        given = {name: value for name, value in ids.items() if name != "labels"}
        files = columns.get("mask_file", np.full(len(columns["tp"]), ""))
        return MaskTable(
            classes=self.classes,
            **{name: columns[name].astype(np.int64) for name in ("tp", "fp", "fn")},
            **named(dict(columns)),
            mask_file=tuple(str(file) for file in files),
            **given,
        )

    def quality(self, table: MaskTable) -> dict[str, float]:
        """Dice, the mean over examples and that of all pixels, as a report has them.

        The mean is over the examples that have the structure; each of the two is then
        the mean over the structures in which it is defined.
        """
        shown = of_images(table)
        found = {}
        for name in self.SELECT:
            above, below = shown[name].above.sum(axis=0), shown[name].below.sum(axis=0)
            defined = below > 0
            if defined.any():
                found[name] = float((above[defined] / below[defined]).mean())
        return found


TASK = Segmentation
