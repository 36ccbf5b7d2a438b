"""The same numbers within parts of the patients or views: zone, probe, site, sex, …"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.evaluation import evaluate_level
from ultrasound_jax.analysis.stats._parts import bootstrap
from ultrasound_jax.analysis.table.predictions import Predictions

MOST_GROUPS = 30
UNKNOWN_GROUP = "not known"


def column_of(table: Predictions, column: str) -> tuple[str, ...]:
    """Returns a further column of the table, or `fold`.

    Raises:
      AnalysisError: no such column, or one with more than MOST_GROUPS values.
    """
    if column == "fold":
        cells = tuple(str(fold) for fold in table.fold.tolist())
    elif column in table.extra:
        cells = tuple(cell or UNKNOWN_GROUP for cell in table.extra[column])
    else:
        raise AnalysisError(
            f"no column '{column}' to tell groups apart by; there are: "
            f"{', '.join(['fold', *table.extra])}"
        )
    if len(set(cells)) > MOST_GROUPS:
        raise AnalysisError(
            f"column '{column}' has {len(set(cells))} values; at most {MOST_GROUPS} "
            "groups are compared"
        )
    return cells


def by_group(
    table: Predictions,
    decisions: Float[np.ndarray, "n k"],
    columns: Sequence[str],
    *,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns `{column: {value: LEVEL}}` with LEVEL as `evaluation` has it.

    Decisions are those of the whole table: a threshold is one, whoever is judged. The
    groups were not randomised and are small; their intervals, taken over the group's
    own patients, tell how little is known.

    Raises:
      AnalysisError: see `column_of`.
    """
    tree: dict[str, Any] = {}
    for column in columns:
        cells = np.array(column_of(table, column), dtype=str)
        tree[column] = {}
        for value in sorted(set(cells.tolist()), key=lambda v: (v == UNKNOWN_GROUP, v)):
            here = cells == value
            tree[column][value] = evaluate_level(
                table.rows(here), decisions[here], replicates=replicates, seed=seed
            )
    return tree
