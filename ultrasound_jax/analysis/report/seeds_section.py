"""How much seeds move AUROC, beside what patients do, as blocks of a document."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Table,
    label,
    value_text,
)
from ultrasound_jax.analysis.stats._parts.wording import patients_text
from ultrasound_jax.analysis.table.units import level_words


def seeds_blocks(tree: Mapping[str, Any], units: tuple[str, str]) -> list[Block]:
    """A table a level of a tree of `seeds.over_seeds`."""
    seeds = ", ".join(f"{name} ({seed})" for name, seed in tree["seeds"].items())
    return [
        Heading("Spread over seeds"),
        *(
            _level(level, units, found, seeds)
            for level, found in tree["levels"].items()
        ),
    ]


def _level(
    level: str, units: tuple[str, str], found: Mapping[str, Any], seeds: str
) -> Table:
    rows = []
    for name, entry in found.items():
        if entry["mean"] is None:
            rows.append([label(name), *[NOT_DEFINED] * 4, ""])
            continue
        each = ", ".join(f"{value:.3f}" for value in entry["values"].values())
        ends = f"{entry['lowest']:.3f} to {entry['highest']:.3f}"
        cells = [value_text(entry, "mean"), f"{entry['sd']:.3f}", ends, each]
        rows.append([label(name), *cells, patients_text(entry)])
    return Table(
        ["", "mean AUROC [95 %, patients]", "SD over seeds", "lowest to highest"]
        + ["each seed", "patients"],
        rows,
        caption=f"AUROC by {level_words(level, units)}, of runs that differ in their "
        f"seed only: {seeds}. The interval is over patients, of the mean of these "
        "networks; SD and range are over seeds and say how much one training is "
        "luck. Neither holds the other: seeds are not patients, nor are they folds.",
        strong=frozenset([0]),
    )
