"""From an experiment to its predictions table."""

from dataclasses import replace

import numpy as np

from tests.analysis.simulated import simulate
from ultrasound_jax.predict import score_split
from ultrasound_jax.study import crossval


def test_columns_that_group_examples_follow_them_into_the_table(
    experiment, monkeypatch
):
    table = experiment.source.table
    probes = tuple(f"probe {i % 3}" for i in range(len(table.example_id)))
    grouped = replace(table, groups={"probe": probes})
    monkeypatch.setattr(experiment.source, "table", grouped)

    def half(experiment, weights, part, **how):
        places = experiment.indices[part]
        return {"scores": np.full((len(places), len(table.classes)), 0.5)}, 0.0

    monkeypatch.setattr(score_split, "predict", half)
    found = score_split.predictions(
        experiment, None, fold=2, splits=("validation", "test")
    )
    of = dict(zip(table.example_id, probes, strict=True))
    assert found.extra["probe"] == tuple(of[e] for e in found.example_id)
    assert set(found.split) == {"validation", "test"} and set(found.fold) == {2}


def test_pooled_folds_keep_the_columns_and_whose_rows_they_are():
    rng = np.random.default_rng(0)
    folds = []
    for fold in range(3):
        table = simulate(rng, 3, fold=fold)
        zones = tuple(f"zone {fold}" for _ in range(len(table)))
        folds.append(replace(table, extra={"zone": zones} if fold else {}))
    pooled = crossval.pool(folds)
    assert set(pooled.split) == {"out_of_fold"}
    of_fold = {0: "", 1: "zone 1", 2: "zone 2"}
    zones = [of_fold[f] for f in pooled.fold.tolist()]
    assert list(pooled.extra["zone"]) == zones
    assert len(pooled) == sum(map(len, folds))
