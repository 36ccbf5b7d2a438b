"""What of a predictions table is judged, and on what its thresholds may be chosen."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.levels import at_level
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.analysis.table.predictions import MULTICLASS, MULTILABEL
from ultrasound_jax.analysis.table.splits import (
    OUT_OF_FOLD,
    default_split,
    out_of_fold_rows,
)

# Where thresholds come from, if not from a split.
GIVEN, OTHER_FOLDS = "given", "other folds"
Choose = Callable[[Num[np.ndarray, " n"], Num[np.ndarray, " n"]], float | None]
Limits = Mapping[int, list[float | None]]
Thresholds = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows at one level with, for each fold, the rows that may choose for it.

    kind: of the whole table (`Predictions.kind`, `MaskTable.kind`).
    references: fold -> rows of patients who are not judged in that fold; empty where
        the table has none, so that nothing can be chosen.
    source: what the references are, in words.
    optimistic: the references are the judged rows themselves.
    given: each class's threshold, of an earlier run; None where they are chosen.
    """

    split: str
    level: str
    rows: Any  # an AnyTable; a statistic knows which from its KINDS
    references: Mapping[int, Any] = field(repr=False)
    source: str
    optimistic: bool = False
    kind: str = ""
    given: Mapping[str, float | None] | None = None

    def limits(self, choose: Choose) -> Limits:
        """`choose(labels, scores)` of each fold's reference and class."""
        count = len(self.rows.classes)
        if not self.references:
            return {fold: [None] * count for fold in set(self.rows.fold.tolist())}
        return {
            fold: [choose(table.labels[:, k], table.scores[:, k]) for k in range(count)]
            for fold, table in self.references.items()
        }

    def decisions(self, limits: Limits) -> Float[np.ndarray, "n k"]:
        """The decisions: 1 at or above the row's fold's threshold, NaN without one."""
        found = np.full(self.rows.scores.shape, np.nan)
        for fold, thresholds in limits.items():
            here = self.rows.fold == fold
            found[here] = decide(self.rows.scores[here], thresholds)
        return found

    def decided(self, choose: Choose) -> tuple[Float[np.ndarray, "n k"], Limits | None]:
        """What is decided of each row and class, and at which thresholds.

        Where one class is true it is the one with the highest score, the first of
        equals, and there are no thresholds; otherwise those given or chosen.
        """
        if self.kind == MULTICLASS:
            return np.eye(len(self.rows.classes))[self.rows.scores.argmax(axis=1)], None
        limits = self.limits(choose)
        if self.given is not None:
            wanted = [self.given[name] for name in self.rows.classes]
            limits = dict.fromkeys(limits, wanted)
        return self.decisions(limits), limits


def decide(
    scores: Float[np.ndarray, "n k"], thresholds: Iterable[float | None]
) -> Float[np.ndarray, "n k"]:
    """The decisions: 1 at or above the class's threshold, NaN without one."""
    limits = np.array([np.nan if t is None else t for t in thresholds], float)
    return np.where(np.isnan(limits), np.nan, scores >= limits)


def threshold_entry(limits: Limits, k: int) -> dict[str, object]:
    """Class `k`'s thresholds as `metrics.json` has them."""
    if len(limits) == 1:
        return {"threshold": next(iter(limits.values()))[k]}
    return {
        "threshold": None,
        "threshold_by_fold": {str(f): limits[f][k] for f in sorted(limits)},
    }


def judge(
    table: AnyTable,
    *,
    split: str = "",
    level: str = "",
    optimistic: bool = False,
    given: Thresholds | None = None,
) -> Judged:
    """Takes the rows of a split at a level and finds what their thresholds come from.

    For `test` that is the `validation` split of the same fold; for pooled
    cross-validation, the rows of all other folds. Without either, nothing is chosen:
    `optimistic` then allows to choose on the judged rows, and is ignored where
    there are others, unless they are of the same patients. Nothing is chosen, either,
    where one class is true or masks are judged. A group whose examples are of several
    classes, where one is true of each, is not annotated.

    Args:
        table: of one fold, or of a cross-validation.
        split: to be judged; empty for `default_split`.
        level: one of `levels.levels_of`; empty for the examples'.
        optimistic: see above.
        given: thresholds of an earlier run, by level and class, instead; empty where
            it has none, so that nothing is decided.

    Raises:
        AnalysisError: no such split or level, several folds that are no
            cross-validation, a patient in both splits, or a level or class without an
            entry in the thresholds given.
    """
    split, level = split or default_split(table), level or table.units[0]
    kind = table.kind
    if kind != MULTILABEL:
        rows = at_level(_one_fold(table, split), level)
        if kind == MULTICLASS:
            rows = _with_one_truth(rows)
        return Judged(split, level, rows, {}, "", kind=kind)
    if given is not None:
        rows = at_level(_one_fold(table, split), level)
        if not given:
            return Judged(split, level, rows, {}, "", kind=kind)
        limits = {name: _given(given, level, name) for name in rows.classes}
        return Judged(split, level, rows, {}, GIVEN, kind=kind, given=limits)
    if split == OUT_OF_FOLD:
        rows = at_level(out_of_fold_rows(table), level)
        references = {
            int(fold): rows.rows(rows.fold != fold) for fold in sorted(set(rows.fold))
        }
        return Judged(split, level, rows, references, OTHER_FOLDS, kind=kind)
    rows = at_level(_one_fold(table, split), level)
    fold, used = int(rows.fold[0]), "validation"
    if split == used or used not in table.split:
        if not (optimistic or split == used):
            return Judged(split, level, rows, {}, "", kind=kind)
        return Judged(split, level, rows, {fold: rows}, split, True, kind)
    others = table.of_split(used)
    reference = at_level(others.rows(others.fold == fold), level)
    if not len(reference):
        raise AnalysisError(f"no predictions of split '{used}' in fold {fold}")
    both = sorted(set(reference.patient_id) & set(rows.patient_id))
    if both and not optimistic:
        raise AnalysisError(
            f"patient {both[0]!r} is in split '{used}' and in split '{split}' "
            f"({len(both)} patients are): thresholds would be chosen on whom they judge"
        )
    return Judged(split, level, rows, {fold: reference}, used, bool(both), kind)


def _with_one_truth(rows: Any) -> Any:
    """Takes the labels from groups whose examples are of several classes."""
    several = (rows.labels == 1).sum(axis=1, keepdims=True) != 1
    return replace(rows, labels=np.where(several, np.nan, rows.labels))


def _one_fold(table: AnyTable, split: str) -> AnyTable:
    if split == OUT_OF_FOLD:
        return out_of_fold_rows(table)
    rows = table.of_split(split)
    folds = sorted(set(rows.fold.tolist()))
    if len(folds) > 1:
        raise AnalysisError(
            f"split {split} of folds {', '.join(map(str, folds))} cannot be judged "
            "together: give one table a fold, or pooled out-of-fold predictions"
        )
    return rows


def _given(thresholds: Thresholds, level: str, name: str) -> float | None:
    if level not in thresholds or name not in thresholds[level]:
        raise AnalysisError(f"no threshold given for class {name} at level {level}")
    return thresholds[level][name]
