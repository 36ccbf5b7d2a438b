"""How predicted masks cover the true ones, example by example.

Of one example, Dice is 2 TP / (2 TP + FP + FN) and IoU TP / (TP + FP + FN) of its
pixels (Dice 1945, Jaccard 1912), precision TP / (TP + FP), recall TP / (TP + FN). They
are averaged over the examples that have the structure, of which a missed one counts
(`mask_figures` has the table of empty masks); the others are judged by `absent`.

`mean_dice` is the mean over the examples, or over groups, whose pixels are added up
first; `pooled_dice` is that of all pixels together, in which large masks count most.
Numbers of a level are means over the classes in which they are defined. Distances have
a mean and a median, and their unit in their name (`mean_hd95_px`, `mean_assd_mm`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.document import Block, Heading, Table, Text
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.stats._parts.intervals import counted_patients
from ultrasound_jax.analysis.stats._parts.mask_figures import (
    counted_distance,
    left_out,
    of_images,
)
from ultrasound_jax.analysis.stats._parts.mask_figures import (
    judged as judged_figures,
)
from ultrasound_jax.analysis.stats._parts.mask_words import (
    figure_table,
    figure_text,
    figure_words,
    figures_of,
)
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.resampling import Resampling, estimate
from ultrasound_jax.analysis.stats._parts.statistic import CsvRow, Tree
from ultrasound_jax.analysis.stats._parts.wording import (
    n_text,
    patients_text,
    patients_words,
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
    ("miss_rate", "miss_rate", "miss rate"),
)
METHODS = (
    "Dice is 2 TP / (2 TP + FP + FN), IoU TP / (TP + FP + FN), of pixels. Mean: over "
    "the examples that have the structure, or over groups whose pixels are added up "
    "first. Pooled: of all pixels together, those of examples without it, too. An "
    "example in which nothing is found where there is something is a miss: it counts "
    "with 0 for Dice, IoU, precision, recall and NSD, and with the diagonal of its "
    "picture as its distance. Distances are between surfaces: HD95 is the larger one "
    "of the two directed 95th percentiles, ASSD the mean of both directions together, "
    "NSD (normalised surface distance, Nikolov et al. 2018) the share of both surfaces "
    "within a tolerance of the other, counted in pixels. Units and tolerances stand in "
    "the names; what is in pixels and what is in millimetres is never averaged."
)
SOURCES = (
    "Dice LR. Measures of the amount of ecologic association between species. Ecology "
    "26, 1945.",
    "Jaccard P. The distribution of the flora in the alpine zone. New Phytologist 11, "
    "1912.",
    "Nikolov S, Blackwell S, Zverovitch A, et al. Deep learning to achieve clinically "
    "applicable segmentation of head and neck anatomy for radiotherapy. "
    "arXiv:1809.04430, 2018.",
)
METRICS = ("mean_dice", "mean_iou", "mean_precision", "mean_recall", "miss_rate") + (
    "pooled_dice",
    "pooled_iou",
)
FEW = 20  # effective patients; fewer are told what they cannot tell apart
SMALLEST = 0.01  # a difference in Dice that readers take for one
_OVERVIEW = ("mean_dice", "mean_iou", "pooled_dice", "pooled_iou", "miss_rate")
_CHUNK = 1 << 22  # weights at a time


def compute(
    judged: Judged, options: Mapping[str, Any], drawing: Mapping[str, int]
) -> dict[str, Any]:
    """The numbers of one level.

    {each of METRICS with _ci, "mean_<distance>", "median_<distance>" with _ci,
     "classes": {name: {the same, "examples" with the structure, "missed", "patients",
     "<distance>_examples", "<distance>_missed_left_out"}}}
    """
    table: MaskTable = judged.rows
    content = (table.tp, table.fp, table.fn, *table.distances.values())
    patient = bootstrap.numbered(table.patient_index(), *content)
    tree = judged_figures(of_images(table), table.classes, patient)
    there, found = table.tp + table.fn > 0, table.tp + table.fp > 0
    for k, entry in enumerate(tree["classes"].values()):
        entry |= {
            "examples": int(there[:, k].sum()),
            "missed": int((there & ~found)[:, k].sum()),
        } | counted_patients(np.bincount(patient, there[:, k]))
    resampling = Resampling(patient, **drawing)
    for name in table.distances:
        tree |= _median(table, name, resampling, tree["classes"])
    return tree


def _median(
    table: MaskTable, name: str, resampling: Resampling, classes: dict[str, Any]
) -> dict[str, Any]:
    """A distance's median over the classes that have it; those of each go into them."""
    values, without = counted_distance(table, name), left_out(table, name)
    used = []
    for k, entry in enumerate(classes.values()):
        known = ~np.isnan(values[:, k])
        rows = resampling.patient[known]
        middle = _medians(values[known, k], rows, resampling.drawn)
        patients = resampling.contributors(known)
        entry |= estimate(f"median_{name}", middle, patients=patients)
        entry[f"{name}_examples"] = int(known.sum())
        entry[f"{name}_missed_left_out"] = int(without[k])
        if number(middle[0]) is not None:
            used.append((middle, patients))
    whole = np.mean([v for v, _ in used], axis=0) if used else np.full(2, np.nan)
    fewest = min((p for _, p in used), default=0)
    return estimate(f"median_{name}", whole, patients=fewest)


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
    """Every figure of every class, at every level, and what few patients hide."""
    found: list[Block] = [_table(tree, level) for level in tree["levels"]]
    return [*found, *_notes(tree)]


def _table(tree: Tree, name: str) -> Table:
    level = tree["levels"][name]
    far = [k for k in figures_of(level, ("mean_", "median_")) if k not in METRICS]
    names = [key for key in METRICS if key in level] + far
    counts = (
        ("with it", lambda entry: entry["examples"]),
        ("of these missed", lambda entry: entry["missed"]),
        ("patients", patients_text),
    )
    caption = (
        f"By {units_text(tree, name)}: value [95 % interval over patients] of those of "
        f"{n_text(level, tree, name)} that have it, pooled figures of all."
    )
    return figure_table(level, names, counts, caption)


def _notes(tree: Tree) -> list[Block]:
    """What is left out of distances, and what so few patients cannot tell apart."""
    level = tree["levels"][tree["level"]]
    told = []
    end = "_missed_left_out"
    for key in next(iter(level["classes"].values()), {}):
        if not key.endswith(end):
            continue
        name = key.removesuffix(end)
        if missing := sum(entry[key] for entry in level["classes"].values()):
            what = figure_words(f"mean_{name}").removeprefix("mean ")
            told.append(
                f"{what}: {missing} missed are left out, for the table does not tell "
                "how large the pictures are; it is too good by them."
            )
    if said := few_words(level["n"], level.get("mean_dice"), level["mean_dice_ci"]):
        told.append(said)
    return [Text(one) for one in told]


def few_words(n: Tree, value: float | None, ends: list[float] | None) -> str:
    """What few patients cannot tell apart in mean Dice; empty where they can.

    Args:
        n: counts of patients, as a level has them.
        value: the mean Dice.
        ends: of its interval.
    """
    if value is None or n["effective_patients"] >= FEW:
        return ""
    if ends is None:
        return f"{patients_words(n)}: too few for an interval, so nothing is shown."
    reach = max(value - ends[0], ends[1] - value)
    if reach < SMALLEST:
        return ""
    other = value - SMALLEST if value > SMALLEST else value + SMALLEST
    other, low, high = (100 * v for v in (other, *ends))
    return (
        f"{patients_words(n)} are few, however many pictures they have: a mean Dice of "
        f"{100 * value:.1f} % cannot be told from {other:.1f} %, for its interval "
        f"reaches from {low:.1f} to {high:.1f} %."
    )


def overview(trees: Mapping[str, Tree], tables: Mapping[str, MaskTable]) -> list[Block]:
    """Dice, IoU and misses of several models, at the examples' level."""
    body = []
    for name, tree in trees.items():
        level = tree["levels"][tree["level"]]
        patients = patients_text(level["n"])
        names = [key for key in (*_OVERVIEW, "false_positive_rate") if key in level]
        body.append([name, *(figure_text(level, key) for key in names), patients])
    first = next(iter(trees.values()))
    return [
        Heading("Overview"),
        Table(
            ["model", *map(figure_words, names), "patients"],
            body,
            caption=f"By {units_text(first)}: value [95 % interval]. Intervals that "
            "overlap do not tell whether two models differ.",
        ),
    ]
