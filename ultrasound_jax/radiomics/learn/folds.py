"""The outer folds of whole patients: the house's splits, or the published ones."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.manifest import Manifest, Part, count_part, fold_name
from ultrasound_jax.data.splits import make_manifest, units_of
from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.learn.cases import Cases


def own_folds(table: ExampleTable, folds: int, seed: int) -> Manifest:
    """Folds over patients as `--mode crossval` makes them of the same examples."""
    return make_manifest(table, test_fraction=0.0, folds=folds, seed=seed)


def of_cases(manifest: Manifest, table: ExampleTable) -> Manifest:
    """The folds of a whole dataset, of some of its examples.

    Raises:
        RadiomicsError: a fold has none of them.
    """
    place = {
        example: k
        for k in range(manifest.folds)
        for example in manifest.parts[fold_name(k)].examples
    }
    fold = np.array([place[name] for name in table.example_id], np.intp)
    if empty := set(range(manifest.folds)) - {*fold.tolist()}:
        raise RadiomicsError(f"fold {min(empty)} has no example that is told apart")
    return _manifest(table, fold)


def published_cases(cases: Cases, say: Callable[[str], None]) -> Cases:
    """The cases that have a published fold.

    Raises:
        RadiomicsError: the dataset has none, or one fold alone.
    """
    if cases.folds is None:
        raise RadiomicsError(f"{cases.source.name} has no published folds")
    known = cases.folds > 0
    if len(set(cases.folds[known].tolist())) < 2:
        raise RadiomicsError(f"{cases.source.name} names fewer than two folds")
    without = int((~known).sum())
    if without:
        say(f"{without} examples have no published fold and are left out")
    return cases.rows(known, {"no published fold": without})


def published_folds(cases: Cases, say: Callable[[str], None]) -> Manifest:
    """The published folds, but for patients who are in several: these stay together.

    Such a patient, or several who show exactly the same, is in the fold that most of
    the examples are in, the first of equals.
    """
    table, given = cases.table, cases.folds
    if given is None:
        raise RadiomicsError(f"{cases.source.name} has no published folds")
    units = np.array(units_of(table))
    places = given.copy()
    for unit in np.unique(units):
        rows = np.flatnonzero(units == unit)
        votes = Counter(given[rows].tolist())
        places[rows] = min(votes, key=lambda fold: (-votes[fold], fold))
    moved = int((places != given).sum())
    if moved:
        say(f"{moved} examples changed their published fold: patients stay together")
    order = sorted(set(places.tolist()))
    if len(order) < 2:
        raise RadiomicsError("all patients are in one fold")
    return _manifest(table, np.array([order.index(fold) for fold in places]))


def _manifest(table: ExampleTable, fold: Int[np.ndarray, " n"]) -> Manifest:
    parts, counts = {}, {}
    for k in range(int(fold.max()) + 1):
        rows = np.flatnonzero(fold == k)
        parts[fold_name(k)] = Part(
            patients=tuple(sorted({table.patient_id[i] for i in rows})),
            examples=tuple(sorted(table.example_id[i] for i in rows)),
        )
        counts[fold_name(k)] = count_part(table, rows)
    return Manifest(
        dataset=table.dataset,
        data_hash=table.data_hash,
        seed=None,
        classes=table.classes,
        parts=parts,
        counts=counts,
    )
