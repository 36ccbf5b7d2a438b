"""The figures of masks in words, with their units, and as tables of a report."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.document import Table, label, value_text
from ultrasound_jax.analysis.stats._parts.mask_figures import is_share, unit_of

_KNOWN = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95": "HD95",
    "assd": "ASSD",
    "lesion_dice": "Dice of detected lesions",
    "false_lesions": "false positive lesions a picture",
    "false_pixels": "pixels found",
    "false_positive_rate": "false-positive rate",
}
_TOLERANCE = re.compile(r"(.*)nsd_(\d+(?:p\d+)?)(px|mm)")
Tree = Mapping[str, Any]


def figure_words(name: str) -> str:
    """A figure's name as a report has it: `mean HD95 (px)`, `mean NSD at 2 px`."""
    if match := _TOLERANCE.fullmatch(name):
        how, size, unit = match.groups()
        return f"{label(how)}NSD at {size.replace('p', '.')} {unit}"
    base, _, least = name.partition("_iou")
    if least:
        return f"{_KNOWN.get(base, label(base))} (IoU ≥ {least.replace('p', '.')})"
    if name in _KNOWN:
        return _KNOWN[name]
    unit = unit_of(name)
    how, _, what = name.removesuffix(f"_{unit}").partition("_")
    if how not in ("mean", "median", "pooled"):
        return label(name)
    words = f"{how} {_KNOWN.get(what, label(what))}"
    if unit:
        return f"{words} ({unit})"
    return words if is_share(name) else f"{words} (unit not told)"


def figure_text(entry: Tree, name: str) -> str:
    """A figure and its interval."""
    return value_text(entry, name, 3 if is_share(name) else 2)


def figure_table(
    level: Tree,
    names: Sequence[str],
    counts: Sequence[tuple[str, Callable[[Tree], Any]]],
    caption: str,
) -> Table:
    """One row a figure, one column a class, and their mean before several.

    Args:
        level: whose figures they are.
        names: of figures, in their order.
        counts: rows behind the figures: words, and what a class's entry has there.
        caption: of the table.
    """
    classes = level["classes"]
    several = len(classes) > 1
    body = []
    for name in names:
        own = [figure_text(entry, name) for entry in classes.values()]
        first = [figure_text(level, name)] if several else []
        body.append([figure_words(name), *first, *own])
    for words, count in counts:
        own = [str(count(entry)) for entry in classes.values()]
        body.append([words, *([""] if several else []), *own])
    header = ["", *(["macro"] if several else []), *map(label, classes)]
    return Table(header, body, caption=caption)


def figures_of(level: Tree, starts: tuple[str, ...]) -> list[str]:
    """The keys of a level's figures that begin with one of `starts`."""
    return [key for key in level if key.startswith(starts) and not key.endswith("_ci")]
