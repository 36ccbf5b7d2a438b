"""Patient-level hold-out and k folds, and the manifest that records them.

No kept library splits by groups and stratifies on several labels at once; see
`stratify.py` for how ours does.
"""

from collections.abc import Sequence

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.spelling import check_spelling
from ultrasound_jax.data.examples import ExampleTable, SplitError
from ultrasound_jax.data.manifest import TEST, Manifest, Part, count_part, fold_name
from ultrasound_jax.data.stratify import Problem, stratify
from ultrasound_jax.media.grouping import join_names

__all__ = ["ExampleTable", "Manifest", "Part", "SplitError", "make_manifest"]


def make_manifest(
    table: ExampleTable, *, test_fraction: float = 0.2, folds: int = 5, seed: int = 0
) -> Manifest:
    """Splits patients into a test part and `folds` folds of equal size.

    Patients with an example or a study in common, exact to the pixel, stay together as
    if they were one. Each part gets its share of examples, of patients and, for each
    class, of positive examples and of patients with a positive. Before any of that,
    each part gets a patient with a positive and a patient with a negative of each
    class, wherever there are enough such patients. The result depends on ids, labels,
    equal pixels and `seed`, not on the order of the rows.

    Args:
        table: the examples.
        test_fraction: of the patients' amounts; 0 makes no test part.
        folds: at least 2, as one validates and the others train.
        seed: of the search.

    Raises:
        SplitError: fewer patients than parts, another fraction or number of folds, or
            patients whose names differ only in blanks or case.
    """
    try:
        check_spelling(table.patient_id, "patient")
    except AnalysisError as error:
        raise SplitError(
            f"dataset {table.dataset}: {error}: two spellings of one patient could "
            "stand on both sides of a split"
        ) from error
    if not 0 <= test_fraction < 1:
        raise SplitError(
            f"test_fraction={test_fraction} must be at least 0 and below 1"
        )
    if folds < 2:
        raise SplitError(f"folds={folds} must be at least 2: one validates, one trains")
    names = [fold_name(k) for k in range(folds)]
    shares = [(1 - test_fraction) / folds] * folds
    if test_fraction > 0:
        names, shares = [TEST, *names], [test_fraction, *shares]
    units = np.array(units_of(table))
    patients, inverse = np.unique(units, return_inverse=True)
    if len(patients) < len(names):
        raise SplitError(
            f"{len(patients)} patients cannot fill {folds} folds"
            f"{' and a test part' if test_fraction > 0 else ''}: every part needs at "
            "least one"
        )
    parts = stratify(_problem(table, inverse, np.array(shares)), seed=seed)
    return _manifest(table, names, parts[inverse], seed)


def units_of(table: ExampleTable) -> list[str]:
    """The patient of each example, or the first of those who cannot be told apart."""
    owner: dict[tuple[str, str], str] = {}
    pairs: list[tuple[str, str]] = []
    for kind in ("study_id", "pixel_hash"):
        names = getattr(table, kind)
        for name, patient in zip(names, table.patient_id, strict=bool(names)):
            if name:
                pairs.append((owner.setdefault((kind, name), patient), patient))
    group = join_names(sorted(set(table.patient_id)), pairs)
    first = {number: patient for patient, number in reversed(group.items())}
    return [first[group[patient]] for patient in table.patient_id]


def _problem(
    table: ExampleTable, patient: np.ndarray, shares: Sequence[float] | np.ndarray
) -> Problem:
    def per_patient(flags: np.ndarray) -> np.ndarray:
        sums = np.zeros((patient.max() + 1, flags.shape[1]))
        np.add.at(sums, patient, flags)
        return sums

    positives = per_patient(table.labels == 1)
    positive = (positives > 0).astype(float)
    negative = (per_patient(table.labels == 0) > 0).astype(float)
    examples = per_patient(np.ones((len(patient), 1)))
    one = np.ones_like(examples)
    return Problem(
        amounts=np.concatenate([examples, one, positives, positive], axis=1),
        presence=np.concatenate([positive, negative, one], axis=1),
        shares=np.asarray(shares, float),
    )


def _manifest(
    table: ExampleTable, names: list[str], part: np.ndarray, seed: int
) -> Manifest:
    parts, counts = {}, {}
    for number, name in enumerate(names):
        rows = np.flatnonzero(part == number)
        parts[name] = Part(
            patients=tuple(sorted({table.patient_id[i] for i in rows})),
            examples=tuple(sorted(table.example_id[i] for i in rows)),
        )
        counts[name] = count_part(table, rows)
    return Manifest(
        dataset=table.dataset,
        data_hash=table.data_hash,
        seed=seed,
        classes=table.classes,
        parts=parts,
        counts=counts,
    )
