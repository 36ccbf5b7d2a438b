"""Non-inferiority by a margin stated before, as blocks of a document."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import NOT_DEFINED, Block, Heading, Table, label
from ultrasound_jax.analysis.judge.comparison import MACRO, macro_first
from ultrasound_jax.analysis.report.comparison_words import (
    classes_of,
    measure_of,
    p_text,
)
from ultrasound_jax.analysis.stats._parts.wording import class_word


def margin_blocks(tree: Mapping[str, Any]) -> list[Block]:
    """A verdict a difference; nothing where no margin was stated."""
    if "margin" not in tree:
        return []
    measure, margin = measure_of(tree), tree["margin"]
    rows = [_row(row) for row in macro_first(tree["differences"])]
    count = {
        macro: sum(
            1
            for row in tree["differences"]
            if (row["class"] == MACRO) == macro
            and row["non_inferiority"]["p"] is not None
        )
        for macro in (True, False)
    }
    return [
        Heading("Non-inferiority", 3),
        Table(
            ["model", class_word(tree), "difference [95 %, clustered]", "verdict"]
            + ["one-sided p", "Holm p", "holds together"],
            rows,
            caption=f"Margin {margin:g}, which must have been chosen before the data "
            f"were seen: the {measure} of a model may be lower than that of "
            f"{tree['reference']} by up to {margin:g}. It is non-inferior if "
            "its whole 95 % interval, that of the clustered test, is above "
            f"{-margin:g} (one-sided at 2.5 %), inferior if the whole interval is "
            "below, and otherwise nothing is concluded. Each verdict is that of one "
            f"comparison. Holm's p is over all those of {classes_of(tree)} "
            f"({count[False]}), or of macro values ({count[True]}); a verdict 'holds "
            "together' with the others if it is at most 0.025.",
        ),
    ]


def _row(row: Mapping[str, Any]) -> list[str]:
    found = row["non_inferiority"]
    if found["verdict"] is None:
        reason = row["reason"] or "nothing varies between patients"
        verdict, holds = f"not tested: {reason}", ""
    else:
        verdict, holds = found["verdict"], "yes" if found["holds"] else "no"
    return [
        row["model"],
        label(row["class"]),
        _difference(row),
        verdict,
        p_text(found["p"]),
        p_text(found["holm_p"]),
        holds,
    ]


def _difference(row: Mapping[str, Any]) -> str:
    if row["difference"] is None:
        return NOT_DEFINED
    ends = row["clustered_ci"]
    shown = NOT_DEFINED if ends is None else f"{ends[0]:+.3f}, {ends[1]:+.3f}"
    return f"{row['difference']:+.3f} [{shown}]"
