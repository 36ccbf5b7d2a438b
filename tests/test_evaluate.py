"""From an experiment to its predictions table."""

from dataclasses import replace

import numpy as np

from ultrasound_jax import evaluate


def test_columns_that_group_examples_follow_them_into_the_table(
    experiment, monkeypatch
):
    table = experiment.source.table
    probes = tuple(f"probe {i % 3}" for i in range(len(table.example_id)))
    grouped = replace(table, groups={"probe": probes})
    monkeypatch.setattr(experiment.source, "table", grouped)

    def half(experiment, weights, split):
        places = experiment.indices[split]
        return np.full((len(places), len(table.classes)), 0.5), 0.0

    monkeypatch.setattr(evaluate, "predict", half)
    found = evaluate.predictions(experiment, None, fold=2)
    of = dict(zip(table.example_id, probes, strict=True))
    assert found.extra["probe"] == tuple(of[e] for e in found.example_id)
    assert set(found.split) == {"validation", "test"} and set(found.fold) == {2}
