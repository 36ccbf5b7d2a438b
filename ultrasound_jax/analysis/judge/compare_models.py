"""Several models compared, whatever kind of table they have."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.judge.comparison import compare
from ultrasound_jax.analysis.judge.mask_comparison import compare_masks
from ultrasound_jax.analysis.judge.pairing import of_scores
from ultrasound_jax.analysis.table.mask_table import AnyTable, MaskTable


def compare_models(
    tables: Mapping[str, AnyTable], reference: str, **options: Any
) -> dict[str, Any]:
    """The tree of `compare` for tables of scores, of `compare_masks` for masks.

    Args:
        tables: name of a model -> its predictions.
        reference: one of the names.
        options: level, split, replicates and seed, as both have them.

    Raises:
        AnalysisError: tables of both kinds, or see these two.
    """
    masks = {k: v for k, v in tables.items() if isinstance(v, MaskTable)}
    if len(masks) == len(tables):
        return compare_masks(masks, reference, **options)
    scores = {name: of_scores(table, name) for name, table in tables.items()}
    return compare(scores, reference, **options)
