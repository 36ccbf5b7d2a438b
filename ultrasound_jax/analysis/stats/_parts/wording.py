"""Words and rows that several statistics share."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import NOT_DEFINED, label, value_text
from ultrasound_jax.analysis.table import units
from ultrasound_jax.analysis.table.judged import GIVEN
from ultrasound_jax.analysis.table.predictions import MULTILABEL

Tree = Mapping[str, Any]


def unit_of(tree: Tree) -> str:
    """What an example is called: `clip`."""
    return tree["units"][0]


def units_text(tree: Tree, level: str = "") -> str:
    """What is judged at a level: `clips`, or `videos, mean of their clips`."""
    return units.level_words(level or tree["level"], tuple(tree["units"]))


def class_word(tree: Tree) -> str:
    """What a class is called: several patterns may be present at once."""
    return "pattern" if tree["kind"] == MULTILABEL else "class"


def n_text(entry: Tree, tree: Tree | None = None, level: str = "") -> str:
    """Writes how many of whom: `474 examples, 40 videos, 7 patients (effective: …)`.

    With a judged tree, in the words of its level: `40 videos, 7 patients (…)`.
    """
    n, row = entry["n"], "example"
    if tree is not None:
        own = tuple(tree["units"])
        row = units.split_level(level or tree["level"], own)[0]
    if row == units.PATIENT:
        return f"{n['patients']} patients"
    said = ("examples", "patients", "effective_patients", "largest_share")
    several = units.plural(row)
    told = [f"{n['examples']} {several}"]
    told += [f"{n[what]} {what}" for what in n if what not in (*said, several)]
    return ", ".join([*told, patients_words(n)])


def patients_text(entry: Tree, name: str = "patients") -> str:
    """Writes how many patients there are, and for how many they count.

    `7 (effective: 5.9; largest: 24 %)`: effective patients, and the share of the
    examples that the patient with the most has. Of trees that do not tell, the number
    alone.
    """
    worth, most = entry.get("effective_patients"), entry.get("largest_share")
    if worth is None or most is None:
        return str(entry[name])
    return f"{entry[name]} (effective: {worth:.1f}; largest: {100 * most:.0f} %)"


def patients_words(entry: Tree) -> str:
    """Writes the same in a sentence: `7 patients (effective: 5.9; largest: 24 %)`."""
    count, paren, rest = patients_text(entry).partition(" (")
    return f"{count} patients{paren}{rest}"


def source_text(tree: Tree) -> str:
    """Writes what decisions rest on: thresholds and their source, or the best score."""
    if tree["decision"] == "argmax":
        return "Decided is the class with the highest score; there are no thresholds."
    source = tree["thresholds_from"]
    if source is None:
        return "There are no validation rows, so there are no thresholds."
    if tree["optimistic"]:
        return (
            f"Thresholds were chosen on the very rows of split {source} that they "
            "judge: all numbers at a threshold are optimistic."
        )
    if source == GIVEN:
        return "Thresholds were given: those of an earlier run."
    return f"Thresholds were chosen on: {label(source)}."


def threshold_text(entry: Tree) -> str:
    """Writes a threshold, or the lowest and the highest of all folds."""
    values = list(entry.get("threshold_by_fold", {0: entry["threshold"]}).values())
    known = [f"{value:.3f}" for value in sorted(v for v in values if v is not None)]
    if not known:
        return NOT_DEFINED
    text = known[0] if known[0] == known[-1] else f"{known[0]}–{known[-1]}"
    lacking = len(values) - len(known)
    return f"{text}, {NOT_DEFINED} in {lacking} of {len(values)}" if lacking else text


def folds_text(classes: Mapping[str, Tree]) -> str:
    """Says what a range of thresholds is, where there is one for each fold."""
    if not any("threshold_by_fold" in entry for entry in classes.values()):
        return ""
    return (
        " Each fold has a threshold of its own: from the lowest to the highest; the "
        "JSON file beside this one has them all."
    )


def macro_text(level: Tree, metric: str, word: str = "pattern") -> str:
    """Writes a macro value, and over how many classes it is if not over all."""
    text, count = value_text(level, f"macro_{metric}"), level["macro_classes"][metric]
    total = len(level["classes"])
    if count in (0, total):
        return text
    return f"{text} ({count} of {total} {units.plural(word)})"


def level_text(level: Tree, key: str, word: str) -> str:
    """Writes a number of a level, as a macro value where it is one."""
    metric = key.removeprefix("macro_")
    if metric in level.get("macro_classes", {}):
        return macro_text(level, metric, word)
    return value_text(level, key)


def number_rows(
    part: str, group: str, pattern: str, entry: Tree
) -> list[dict[str, Any]]:
    """Each number of an entry, with its interval where it has one.

    part, group, pattern: of all these rows of `metrics.csv`.
    """
    place = {"part": part, "group": group, "pattern": pattern}
    rows = []
    for name, value in entry.items():
        if name.endswith("_ci") or isinstance(value, dict | list | bool | str):
            continue
        ends = dict(zip(("low", "high"), entry.get(f"{name}_ci") or (), strict=False))
        shown = "" if value is None else value
        rows.append(place | {"metric": name, "value": shown} | ends)
    return rows


def level_rows(part: str, group: str, level: Tree) -> list[dict[str, Any]]:
    """The numbers of one LEVEL: counts, of all classes, of each class."""
    rows = number_rows(part, group, "", level["n"])
    rows += number_rows(part, group, "macro", level)
    for name, entry in level["classes"].items():
        rows += number_rows(part, group, name, entry)
    return rows
