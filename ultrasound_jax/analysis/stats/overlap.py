"""How predicted masks cover the true ones: Dice, IoU and surface distances.

Of one example, Dice is 2 TP / (2 TP + FP + FN) and IoU TP / (TP + FP + FN) of its
pixels (Dice 1945, Jaccard 1912). Where neither the truth nor the prediction has a pixel
there is nothing to cover: Dice is not defined, and the example is counted as a true
negative. Where the truth is empty and the prediction is not (a false alarm), and where
it is the other way round (a miss), Dice is 0.

`mean_dice` is the mean over the examples, or over groups, whose pixels are added up
first, in which it is defined; `pooled_dice` is that of all pixels together, in which
large masks count most. Numbers of a level are means over the classes in which they are
defined. Distances have a mean and a median over the examples that have one; they are in
millimetres where the dataset knows the spacing of its pixels, else in pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.document import Block, Heading, Table, label, value_text
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.intervals import (
    bounded_interval,
    counted_patients,
    plain_interval,
)
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.resampling import Resampling, estimate, ratio
from ultrasound_jax.analysis.stats._parts.spread import of_ratios
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    n_text,
    patients_text,
    units_text,
)
from ultrasound_jax.analysis.table.judged import Judged
from ultrasound_jax.analysis.table.mask_table import MASKS, MaskTable

NAME = "overlap"
ORDER = 10
KINDS = (MASKS,)
OPTIONS = ()
EVERY_LEVEL = True
HEADLINE = (
    ("mean_dice", "mean_dice", "mean Dice"),
    ("mean_iou", "", "mean IoU"),
)
METHODS = (
    "Dice is 2 TP / (2 TP + FP + FN), IoU TP / (TP + FP + FN), of pixels. Mean: over "
    "examples, or over groups whose pixels are added up first. Pooled: of all pixels "
    "together. Where neither the truth nor the prediction has a pixel, neither is "
    "defined, and the example is counted as a true negative; a false alarm (nothing is "
    "there) and a miss (nothing is found) have 0. Distances are between surfaces, over "
    "the examples with both masks, in millimetres where the dataset knows the spacing "
    "of its pixels, else in pixels."
)
SOURCES = (
    "Dice LR. Measures of the amount of ecologic association between species. Ecology "
    "26, 1945.",
    "Jaccard P. The distribution of the flora in the alpine zone. New Phytologist 11, "
    "1912.",
)
METRICS = ("mean_dice", "mean_iou", "pooled_dice", "pooled_iou")
Mean = tuple[np.ndarray, np.ndarray]  # sums of each patient, and of how many
COUNTS = ("examples", "true_negatives", "false_alarms", "missed", "patients")
_CHUNK = 1 << 22  # weights at a time


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """The numbers of one level.

    {each of METRICS with _ci, "mean_<distance>", "median_<distance>" with _ci,
     "classes": {name: {the same, "examples" with a Dice, "true_negatives",
     "false_alarms", "missed", "patients", "<distance>_examples"}}}
    """
    table: MaskTable = judged.rows
    content = (*_counts(table), *table.distances.values())
    patient = bootstrap.numbered(table.patient_index(), *content)
    resampling = Resampling(patient, **drawing)
    tree: dict[str, Any] = {"classes": {}}
    means: dict[str, list[Mean]] = {}
    drawn: dict[str, list[tuple[np.ndarray, int]]] = {}
    for k, name in enumerate(table.classes):
        entry: dict[str, Any] = {}
        tree["classes"][name] = entry
        for key, mean in _overlaps(table, k, resampling, entry).items():
            entry |= mean_of(key, [mean])
            means.setdefault(key, []).append(mean)
        for distance, values in table.distances.items():
            mean, middle = _distances(distance, values[:, k], resampling, entry)
            entry |= mean_of(f"mean_{distance}", [mean])
            entry |= estimate(f"median_{distance}", middle[0], patients=middle[1])
            means.setdefault(f"mean_{distance}", []).append(mean)
            drawn.setdefault(f"median_{distance}", []).append(middle)
    for key, found in means.items():
        tree |= mean_of(key, found)
    for key, pairs in drawn.items():
        used = [(v, p) for v, p in pairs if number(v[0]) is not None]
        middle = np.mean([v for v, _ in used], axis=0) if used else np.full(2, np.nan)
        fewest = min((p for _, p in used), default=0)
        tree |= estimate(key, middle, patients=fewest)
    return tree


def mean_of(name: str, found: Sequence[Mean]) -> dict[str, Any]:
    """The mean over the classes that have one, and its interval over patients."""
    used = [mean for mean in found if mean[1].any()]
    if not used:
        return {name: None, f"{name}_ci": None}
    above, below = (np.stack(part) for part in zip(*used, strict=True))
    value = float((above.sum(axis=1) / below.sum(axis=1)).mean())
    spread = of_ratios(above, below)
    ends = (bounded_interval if name in METRICS else plain_interval)(spread)
    return {name: value, f"{name}_ci": ends}


def _overlaps(
    table: MaskTable, k: int, resampling: Resampling, entry: dict[str, Any]
) -> dict[str, Mean]:
    """Dice and IoU of each patient; counts go into `entry`."""
    hit, alarm, miss = (part[:, k].astype(float) for part in _counts(table))
    wrong = alarm + miss
    dice, iou = ratio(2 * hit, 2 * hit + wrong), ratio(hit, hit + wrong)
    known = ~np.isnan(dice)
    columns = [known, np.nan_to_num(dice), np.nan_to_num(iou), hit, wrong]
    own = resampling.by_patient(np.stack(columns, axis=1)).T
    entry |= {
        "examples": int(known.sum()),
        "true_negatives": int((~known).sum()),
        "false_alarms": int(((hit + miss == 0) & (alarm > 0)).sum()),
        "missed": int(((hit + alarm == 0) & (miss > 0)).sum()),
    } | counted_patients(own[0])
    values = (
        (own[1], own[0]),
        (own[2], own[0]),
        (2 * own[3], 2 * own[3] + own[4]),
        (own[3], own[3] + own[4]),
    )
    return dict(zip(METRICS, values, strict=True))


def _counts(table: MaskTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return table.tp, table.fp, table.fn


def _distances(
    name: str,
    values: Float[np.ndarray, " n"],
    resampling: Resampling,
    entry: dict[str, Any],
) -> tuple[Mean, tuple[np.ndarray, int]]:
    """A distance of each patient; its median in every replicate, and who carries it."""
    known = ~np.isnan(values)
    own = resampling.by_patient(np.stack([known, np.nan_to_num(values)], axis=1)).T
    patients = resampling.contributors(known)
    entry[f"{name}_examples"] = int(known.sum())
    middle = _medians(values[known], resampling.patient[known], resampling.drawn)
    return (own[1], own[0]), (middle, patients)


def _medians(
    values: Float[np.ndarray, " m"],
    patient: np.ndarray,
    drawn: Float[np.ndarray, "r p"],
) -> Float[np.ndarray, " r"]:
    """The median of values that count as often as their patients are drawn."""
    found = np.full(len(drawn), np.nan)
    if not len(values):
        return found
    order = np.argsort(values, kind="stable")
    marks, size = values[order], max(1, _CHUNK // len(values))
    for start in range(0, len(drawn), size):
        part = slice(start, start + size)
        upto = np.cumsum(drawn[part][:, patient[order]], axis=1)
        total = upto[:, -1:]
        # The middle one of an odd number, the mean of both middle ones of an even one.
        low = (upto >= np.floor((total + 1) / 2)).argmax(axis=1)
        high = (upto >= np.floor(total / 2) + 1).argmax(axis=1)
        middle = (marks[low] + marks[high]) / 2
        found[part] = np.where(total[:, 0] > 0, middle, np.nan)
    return found


def rows(tree: Tree) -> list[CsvRow]:
    """Nothing: all numbers are in the levels."""
    return []


def blocks(tree: Tree) -> list[Block]:
    """Dice, IoU, distances and counts of every class, at every level."""
    return [_table(tree, level) for level in tree["levels"]]


def _table(tree: Tree, name: str) -> Table:
    level = tree["levels"][name]
    far = [key for key in level if key.startswith(("mean_", "median_"))]
    names = [*METRICS, *(k for k in far if k not in METRICS and not k.endswith("_ci"))]
    body = [["macro", *(_text(level, n) for n in names), *[""] * len(COUNTS)]]
    for one, entry in level["classes"].items():
        values = [_text(entry, n) for n in names]
        counts = [str(entry[name]) for name in COUNTS[:-1]] + [patients_text(entry)]
        body.append([label(one), *values, *counts])
    if len(level["classes"]) == 1:
        del body[0]
    return Table(
        ["class", *map(_words, names), *map(label, COUNTS)],
        body,
        caption=f"By {units_text(tree, name)}: value [95 % interval] of "
        f"{n_text(level, tree, name)}.",
        strong=frozenset([0] * (len(level["classes"]) > 1)),
    )


def _text(entry: Tree, name: str) -> str:
    overlap = name in METRICS
    return value_text(entry, name, 3 if overlap else 2)


def _words(name: str) -> str:
    how, _, what = name.partition("_")
    known = {"dice": "Dice", "iou": "IoU", "hd95": "HD95", "assd": "ASSD"}
    return f"{how} {known.get(what, label(what))}"


def overview(trees: Mapping[str, Tree], tables: Mapping[str, MaskTable]) -> list[Block]:
    """Dice and IoU of several models, at the examples' level."""
    body = []
    for name, tree in trees.items():
        level = tree["levels"][tree["level"]]
        patients = patients_text(level["n"])
        body.append([name, *(_text(level, n) for n in METRICS), patients])
    first = next(iter(trees.values()))
    return [
        Heading("Overview"),
        Table(
            ["model", *map(_words, METRICS), "patients"],
            body,
            caption=f"By {units_text(first)}: value [95 % interval]. Intervals that "
            "overlap do not tell whether two models differ.",
        ),
    ]
