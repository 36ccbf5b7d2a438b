"""Tables of many rows: what is measured is what the documentation says."""

import json
import sys
from dataclasses import asdict

import numpy as np
import pytest

from tests.analysis.simulated import simulate
from tests.conftest import ROOT
from ultrasound_jax.analysis.judge import assess as assess_module
from ultrasound_jax.analysis.judge.assess import Wanted, assess
from ultrasound_jax.analysis.stats._parts.metrics import roc_points
from ultrasound_jax.analysis.stats._parts.roc_panels import drawn_points
from ultrasound_jax.analysis.table.levels import levels_of
from ultrasound_jax.analysis.table.predictions import Predictions

sys.path.insert(0, str(ROOT / "experiments"))
import large_tables  # noqa: E402

RESULTS = ROOT / "experiments/results/large_tables.json"


@pytest.mark.skipif(not RESULTS.exists(), reason="not measured yet")
def test_the_documentation_has_the_figures_of_the_results():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    docs = (ROOT / "docs/analysis.md").read_text(encoding="utf-8")
    assert large_tables.put_into(docs, large_tables.table_of(found)) == docs
    assert found["size"] == asdict(large_tables.Size())
    assert found["rows"] == large_tables.Size().rows == 200_000
    assert found["verbs"]["metrics"]["cpu_seconds"] < 180
    assert max(one["peak_mib"] for one in found["verbs"].values()) < 1024


def test_the_inputs_are_tables_of_the_same_clips(tmp_path):
    size = large_tables.Size(patients=10, videos=2, clips=3, classes=2)
    large_tables.write_inputs(tmp_path, size)
    one, two = (Predictions.read(tmp_path / f"{n}.csv") for n in large_tables.MODELS)
    assert len(one) == size.rows == 60 and one.example_id == two.example_id
    assert len(set(one.patient_id)) == 10 and len(set(one.video_id)) == 20
    assert (one.scores != two.scores).any() and (one.labels == two.labels).all()
    assert (one.frames == two.frames).all()


def test_judging_tells_how_far_it_is(monkeypatch):
    told = []

    class Watched(assess_module.Progress):
        def __init__(self, total, what, **more):
            super().__init__(total, what, **more)
            told.append(total)

        def advance(self, count=1):
            told.append(count)

    monkeypatch.setattr(assess_module, "Progress", Watched)
    table = simulate(np.random.default_rng(0), 5)
    tree = assess(table, Wanted(optimistic=True, replicates=200))
    total, *steps = told
    assert sum(steps) == total > len(levels_of(table)) == len(tree["levels"])


def test_a_curve_has_no_more_points_than_can_be_seen():
    rng = np.random.default_rng(0)
    labels = (rng.random(50_000) < 0.3).astype(float)
    points = roc_points(labels, rng.normal(size=50_000) + labels)
    x, y = drawn_points(points)
    assert len(x) < 5000 and (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    whole = points.true / points.true[-1]
    # At each point that is left out, the drawn curve is nearer than a pixel.
    seen = np.interp(points.false / points.false[-1], x, y)
    inside = np.abs(seen - whole) < 1e-3
    assert inside.mean() > 0.99


def test_a_short_curve_is_drawn_whole():
    points = roc_points(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.3, 0.1]))
    x, y = drawn_points(points)
    assert x.tolist() == [0, 0, 0.5, 0.5, 1] and y.tolist() == [0, 0.5, 0.5, 1, 1]
