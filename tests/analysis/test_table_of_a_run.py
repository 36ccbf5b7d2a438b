"""A run's predictions table is the one that it was judged by."""

import hashlib
import json

import pytest

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.inputs import open_run

TEXT = """example_id,video_id,patient_id,fold,split,label_a,label_b,score_a,score_b
e1,v1,p1,0,test,1,0,0.9,0.2
e2,v2,p2,0,test,0,1,0.3,0.7
"""


@pytest.fixture
def run(tmp_path):
    table = tmp_path / "predictions.csv"
    table.write_text(TEXT)
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    metrics = {"run": {"predictions_sha256": digest}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_a_table_with_exchanged_names_is_refused(run):
    assert open_run(run).predictions.classes == ("a", "b")
    table = run / "predictions.csv"
    head = "example_id,video_id,patient_id,fold,split,label_b,label_a,score_b,score_a"
    table.write_text("\n".join([head, *TEXT.splitlines()[1:], ""]))
    for place in (run, table):
        with pytest.raises(AnalysisError, match=r"predictions\.csv is not the table"):
            open_run(place)
    copied = run / "mine.csv"
    copied.write_bytes(table.read_bytes())
    assert open_run(copied).predictions.classes == ("b", "a")


@pytest.mark.parametrize("text", ["[]", "{}", '{"run": 5}', '{"run": {}}'])
def test_a_table_of_a_run_from_before_has_nothing_to_compare(run, text):
    (run / "metrics.json").write_text(text)
    assert open_run(run).predictions.classes == ("a", "b")
