"""Which rows of a predictions table are reported, of one fold or of all pooled."""

from typing import TypeVar

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.rows import Rows

OUT_OF_FOLD = "out_of_fold"
T = TypeVar("T", bound=Rows)


def default_split(table: Rows) -> str:
    """The split that is reported: `test`, or the pooled out-of-fold rows."""
    for split in (OUT_OF_FOLD, "test"):
        if split in table.split:
            return split
    return OUT_OF_FOLD if len(set(table.fold.tolist())) > 1 else "test"


def rows_of(table: T, split: str) -> T:
    """The rows that are judged as one split."""
    return out_of_fold_rows(table) if split == OUT_OF_FOLD else table.of_split(split)


def out_of_fold_rows(table: T) -> T:
    """The rows of split `out_of_fold`, or else the folds' `validation` rows.

    Raises:
        AnalysisError: neither is there, only one fold, or an example or a patient in
            more than one fold.
    """
    split = OUT_OF_FOLD if OUT_OF_FOLD in table.split else "validation"
    rows = table.of_split(split)
    if len(set(rows.fold.tolist())) < 2:
        raise AnalysisError(f"split {split} has one fold; cross-validation has more")
    for what, ids in (("example", rows.example_id), ("patient", rows.patient_id)):
        owner: dict[str, int] = {}
        for name, fold in zip(ids, rows.fold.tolist(), strict=True):
            if owner.setdefault(name, fold) != fold:
                raise AnalysisError(
                    f"{what} {name!r} is in split {split} of folds {owner[name]} and "
                    f"{fold}; allowed is one"
                )
    return rows
