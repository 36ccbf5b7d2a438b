"""Every pixel belongs to one of several structures, or to the background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8

from ultrasound_jax.analysis.stats._parts.mask_figures import of_images
from ultrasound_jax.analysis.table.mask_table import MaskTable
from ultrasound_jax.data.spec import INDEX, PIXEL_MM, Spec
from ultrasound_jax.tasks._mask_cleaning import Cleaning
from ultrasound_jax.tasks._mask_losses import shares
from ultrasound_jax.tasks._mask_measures import Measures, named
from ultrasound_jax.tasks._mask_terms import ALL, USUAL, MaskTerms
from ultrasound_jax.tasks._protocol import Fields, OfPixels, TaskError, Term


@dataclass(frozen=True)
class Segmentation(OfPixels):
    """Masks, learnt by losses that are named and weighed, and added.

    One structure is a sigmoid with the limit 0.5; several are a softmax with the
    background. A term is the mean over the examples: each example counts alike,
    however large what it shows is. A network's `head<N>` maps are all supervised, each
    brought to the mask's size. What is counted, measured and written is the found mask
    after its cleaning, in validation as in the final table.
    """

    NEEDS: ClassVar = ("pixels", "mask")
    USES: ClassVar = ("number",)
    SELECT: ClassVar = {"mean_dice": 1, "pooled_dice": 1}
    decision: ClassVar = "mask"

    terms: MaskTerms
    cleaning: Cleaning
    measures: Measures = Measures()

    @classmethod
    def make(
        cls,
        spec: Spec,
        labels: Int8[np.ndarray, "n k"] | None = None,
        *,
        loss: str = USUAL,
        cross_entropy: float | int | None = None,
        dice: float | int | None = None,
        focal: float | int | None = None,
        ssim: float | int | None = None,
        iou: float | int | None = None,
        boundary: float | int | None = None,
        dice_over: str | None = None,
        focal_gamma: float | int | None = None,
        focal_alpha: Sequence[float | int] | None = None,
        focal_constant: bool | None = None,
        ssim_borders: str | None = None,
        heads: str = ALL,
        keep_components: int = 0,
        fill_holes: bool = False,
        smallest: int = 0,
        tolerance: float | int = Measures.tolerance,
        tolerance_mm: float | int | None = None,
        lesion_iou: float | int = Measures.lesion_iou,
    ) -> "Segmentation":
        """The task.

        The options from `cross_entropy` to `boundary` weigh the terms of the loss,
        those up to `ssim_borders` say how they are computed; None leaves one to the
        named `loss` (`_mask_terms.LOSSES`). Those up to `smallest` are of `Cleaning`,
        the last three of `Measures`.
        """
        given = {
            "cross_entropy": cross_entropy,
            "dice": dice,
            "focal": focal,
            "ssim": ssim,
            "iou": iou,
            "boundary": boundary,
            "dice_over": dice_over,
            "focal_gamma": focal_gamma,
            "focal_alpha": focal_alpha,
            "focal_constant": focal_constant,
            "ssim_borders": ssim_borders,
        }
        if tolerance_mm is not None and PIXEL_MM not in spec:
            raise TaskError(
                f"config.task.options.tolerance_mm={tolerance_mm} is not allowed: the "
                f"dataset has no field '{PIXEL_MM}'; allowed is tolerance, in pixels"
            )
        terms = MaskTerms.make(loss=loss, heads=heads, given=given)
        cleaning = Cleaning(keep_components, fill_holes, smallest)
        in_mm = Measures.tolerance_mm if tolerance_mm is None else tolerance_mm
        measures = Measures(tolerance, in_mm, lesion_iou)
        task = cls(spec, terms, cleaning, measures)
        shape = spec[task._mask].shape
        if len(shape) < 3 or shape[-1] != 1:
            raise TaskError(
                f"the field '{task._mask}' has the shape {shape}; a mask ends with an "
                "axis of one, which holds the number of the structure"
            )
        if not task.classes:
            raise TaskError("the field with the masks names no structures")
        terms.check_space(shape[:-1])
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

    @property
    def undivided(self) -> str:
        """Why the loss of a batch is not that of its parts; empty where it is."""
        return self.terms.undivided

    def weights(self, batch: Fields) -> dict[str, Float[Array, ""]]:
        """The number of examples; rows that only fill a batch do not count."""
        count = (batch[INDEX] >= 0).sum().astype(jnp.float32)
        return dict.fromkeys(self.terms.weights, count)

    def _truth(self, fields: Fields) -> Bool[Array, "b *space k"]:
        values = jnp.arange(1, len(self.classes) + 1)
        return fields[self._mask] == values

    def loss(self, outputs: Fields, fields: Fields) -> dict[str, Term]:
        """Every term as a sum over the examples."""
        counts, weights = fields[INDEX] >= 0, self.weights(fields)
        found = self.terms.each(outputs, self._truth(fields), counts)
        return {
            name: Term(each.sum(), weights[name], each) for name, each in found.items()
        }

    def scores(self, outputs: Mapping[str, Any]) -> Float[Array, "b *space k"]:
        """Each structure's probability at each pixel."""
        return shares(jnp.asarray(outputs["logits"]))

    def decided(self, outputs: Fields) -> Bool[Array, "b *space k"]:
        """The pixels that are given to each structure."""
        if self.outputs == 1:
            return outputs["logits"] > 0
        values = jnp.arange(1, len(self.classes) + 1)
        return outputs["logits"].argmax(axis=-1)[..., None] == values

    def keep(self, outputs: Fields, fields: Fields) -> Fields:
        """Pixels found rightly, wrongly and not at all, both masks, and their scale."""
        found, truth = self.decided(outputs), self._truth(fields)
        scale = {name: fields[name] for name in (PIXEL_MM,) if name in fields}
        return scale | counts_of(found, truth) | {"found": found, "truth": truth}

    def columns(
        self, kept: Mapping[str, np.ndarray], *, full: bool
    ) -> dict[str, np.ndarray]:
        """The counts; for the final table also what `Measures` has and found masks.

        All are of the masks after their cleaning.
        """
        kept = self._cleaned(kept)
        columns = {name: np.asarray(kept[name]) for name in ("tp", "fp", "fn")}
        if not full:
            return columns
        found, truth = np.asarray(kept["found"]), np.asarray(kept["truth"])
        columns |= self.measures.columns(found, truth, kept.get(PIXEL_MM))
        values = np.arange(1, len(self.classes) + 1, dtype=np.uint8)
        columns["found"] = (kept["found"] * values).max(axis=-1).astype(np.uint8)
        return columns

    def _cleaned(self, kept: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        if not self.cleaning.changes:
            return kept
        found, truth = self.cleaning.all(kept["found"]), kept["truth"]
        return {**kept, "found": found} | counts_of(found, truth)

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


def counts_of(found: Any, truth: Any) -> dict[str, Any]:
    """The pixels found rightly, wrongly and not at all, of each example's structures.

    Both are `b *space k`, on the device or on the host.
    """
    space = tuple(range(1, truth.ndim - 1))
    return {
        "tp": (found & truth).sum(space),
        "fp": (found & ~truth).sum(space),
        "fn": (~found & truth).sum(space),
    }


TASK = Segmentation
