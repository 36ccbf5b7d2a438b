"""Words of a comparison, whatever is compared."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import NOT_DEFINED
from ultrasound_jax.analysis.stats._parts.wording import class_word, patients_words
from ultrasound_jax.analysis.table.mask_table import MASKS
from ultrasound_jax.analysis.table.predictions import MULTICLASS
from ultrasound_jax.analysis.table.units import level_words, plural


def measure_of(tree: Mapping[str, Any]) -> str:
    """What differences are differences of."""
    return "mean Dice" if tree["kind"] == MASKS else "AUROC"


def classes_of(tree: Mapping[str, Any]) -> str:
    """What classes are called: `patterns`."""
    return plural(class_word(tree))


def deciding(tree: Mapping[str, Any]) -> str:
    """How models decide."""
    if tree["kind"] == MULTICLASS:
        return "by the highest score"
    return "at Youden's thresholds, chosen on other patients"


def several_of(tree: Mapping[str, Any]) -> str:
    """What examples are called: `clips`."""
    return plural(tree["units"][0])


def whom(tree: Mapping[str, Any]) -> str:
    """How many of what were compared, of how many patients."""
    n = tree["n"]
    what = level_words(tree["level"], tuple(tree["units"]))
    return f"{n['examples']} {what}; {patients_words(n)}"


def verdict(row: Mapping[str, Any]) -> str:
    """The verdict in words: yes, no, or why neither."""
    if row["survives"] is None:
        return f"not tested: {row['reason']}"
    if not row["survives"]:
        return "no"
    return "yes, better" if row["difference"] > 0 else "yes, worse"


def p_text(p: float | None) -> str:
    """Writes a p value as tables do."""
    if p is None:
        return NOT_DEFINED
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def delta_text(row: Mapping[str, Any]) -> str:
    """Writes a difference with its sign, and its interval."""
    if row["difference"] is None:
        return NOT_DEFINED
    text = _signed(row["difference"])
    if row["ci"] is None:
        return f"{text} [{NOT_DEFINED}]"
    return f"{text} [{_signed(row['ci'][0])}, {_signed(row['ci'][1])}]"


def _signed(value: float) -> str:
    # The sum makes of -0.0 a plain zero.
    return f"{round(value, 3) + 0.0:+.3f}"
