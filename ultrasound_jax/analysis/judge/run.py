"""What training writes into `metrics.json`, for every kind of predictions table.

    {split: {level: LEVEL, ..., "kind", "units", "decision", "thresholds_from",
             "optimistic", "interval": {...}, <NAME of a statistic>: ...}}

It is the tree of `assess` of each split, its levels beside the rest; for clips these
are `clip`, `video_mean`, `video_max`, `patient_mean` and `patient_max`.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.document import value_text
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.metrics import youden_threshold
from ultrasound_jax.analysis.stats._parts.statistic import of_tree
from ultrasound_jax.analysis.table.judged import Thresholds
from ultrasound_jax.analysis.table.levels import at_level, levels_of
from ultrasound_jax.analysis.table.mask_table import AnyTable
from ultrasound_jax.analysis.table.predictions import MULTILABEL, Predictions
from ultrasound_jax.analysis.table.splits import OUT_OF_FOLD
from ultrasound_jax.analysis.table.units import plural
from ultrasound_jax.runs.files import write_whole

_CHOOSES = "validation"
# What is read first comes first; training data come last.
_ORDER = ("test", OUT_OF_FOLD, _CHOOSES, "train")


def youden_thresholds(table: AnyTable) -> dict[str, dict[str, float | None]]:
    """The Youden threshold of each class at each level of the table.

    There are none, so that the tree is empty, where exactly one class is true, or of
    masks.
    """
    if table.kind != MULTILABEL or not isinstance(table, Predictions):
        return {}
    result = {}
    for level in levels_of(table):
        rows = at_level(table, level)
        result[level] = {
            name: youden_threshold(rows.labels[:, k], rows.scores[:, k])
            for k, name in enumerate(rows.classes)
        }
    return result


def judge_table(
    table: AnyTable,
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
    thresholds: Thresholds | None = None,
    pooled: bool | None = None,
    options: Mapping[str, Any] | None = None,
    further: Sequence[str] = (),
) -> dict[str, Any]:
    """Judges every split of one fold, or the pooled rows of a cross-validation.

    Thresholds of each level are Youden's on the validation split, at the same level,
    and are held fixed in the bootstrap; numbers of that split itself are therefore
    optimistic. In cross-validation every example is judged by the fold that left it
    out, and the threshold of a fold is Youden's on the pooled rows of all other folds:
    no patient helps to choose the threshold that judges him. Scores of all folds are
    pooled, so a ranking metric also suffers where the folds' models are calibrated
    differently.

    Args:
        table: of any kind.
        replicates: of the bootstrap over patients.
        seed: of the same.
        thresholds: `{level: {class: threshold}}` of an earlier run, for a new data set
            (see `youden_thresholds`); empty where that run has none.
        pooled: whether folds are pooled; None where there is a split `out_of_fold`.
        options: of statistics, by name.
        further: importable names of modules that are statistics, too.

    Raises:
        AnalysisError: several folds that are not to be pooled, no validation rows where
            thresholds are chosen, or see `assess`.
    """
    if pooled is None:
        pooled = OUT_OF_FOLD in table.split
    splits = [OUT_OF_FOLD] if pooled else sorted(set(table.split))
    folds = sorted(set(table.fold.tolist()))
    if not pooled and len(folds) > 1:
        raise AnalysisError(
            f"predictions of folds {', '.join(map(str, folds))} cannot be evaluated "
            "together; take one, or pooled out-of-fold predictions"
        )
    if not pooled and table.kind == MULTILABEL and thresholds is None:
        table.of_split(_CHOOSES)  # says that it is not there
    tree = {}
    for split in splits:
        wanted = Wanted(
            split=split,
            optimistic=True,
            thresholds=thresholds,
            replicates=replicates,
            seed=seed,
            options=options or {},
            further=tuple(further),
        )
        found = assess(table, wanted)
        del found["split"], found["level"]
        tree[split] = found.pop("levels") | found
    return tree


def assessed(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the tree of `assess` of every split, what is read first coming first."""
    splits = [name for name, one in tree.items() if _is_judged(one)]
    known = [split for split in _ORDER if split in splits]
    for split in (*known, *sorted(set(splits) - set(known))):
        one = dict(tree[split])
        levels = {k: one.pop(k) for k in list(one) if _is_level(one[k])}
        yield {"split": split, "level": next(iter(levels)), "levels": levels} | one


def _is_judged(one: Any) -> bool:
    return isinstance(one, dict) and "interval" in one and "kind" in one


def _is_level(one: Any) -> bool:
    return isinstance(one, dict) and "n" in one and "classes" in one


def headline(tree: Mapping[str, Any], table: AnyTable) -> list[str]:
    """Lines such as `test macro AUROC of clips: 0.960 [0.916, 0.987]`.

    They are of the split that is read first, of examples and of groups.
    """
    first, lines = next(assessed(tree), None), []
    if first is None:
        return lines
    for one in of_tree(first):
        own = map(plural, dict.fromkeys(table.units))  # an image is its own group
        for level, several in zip(first["levels"], own, strict=False):
            found = first["levels"][level]
            for key, _, words in one.headline:
                value = value_text(found, key)
                if found[f"{key}_ci"] is None:
                    value = value.partition(" [")[0]
                lines.append(f"{first['split']} {words} of {several}: {value}")
    return lines


def write_metrics(path: str | os.PathLike[str], metrics: Mapping[str, Any]) -> None:
    """Writes the tree as JSON, whole or not at all."""
    text = json.dumps(metrics, indent=1, allow_nan=False)
    write_whole(path, f"{text}\n".encode())
