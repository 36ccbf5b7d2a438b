"""What the analysis does not take is one line with the file, and exit code 2."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis.__main__ import main
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.predictions import Predictions, joined

HEADER = "example_id,video_id,patient_id,fold,split,label_a,score_a"


def refused(capsys, *words):
    """The one line that a verb ends with."""
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and said.startswith("error: ")
    return said


@pytest.fixture
def table():
    return simulate(np.random.default_rng(0), 6)


def written(path, *lines):
    path.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return path


def test_a_class_called_macro_is_refused(tmp_path, capsys, table):
    with pytest.raises(AnalysisError, match="cannot be called 'macro'"):
        replace(table, classes=("macro", *table.classes[1:]))
    path = written(tmp_path / "p.csv", "e,v,p,0,test,1,0.5")
    path.write_text(path.read_text().replace("_a", "_macro"))
    said = refused(capsys, "metrics", path, "--out", tmp_path / "out")
    assert "p.csv" in said and "'macro'" in said
    assert not (tmp_path / "out").exists()


def test_a_class_that_stands_twice_or_has_blanks_around_it_is_refused(table):
    for wrong in (table.classes[1], " a", ""):
        with pytest.raises(AnalysisError, match="class"):
            replace(table, classes=(wrong, *table.classes[1:]))


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("patient_id", "P7", "p7"),
        ("patient_id", "P 7", "P7"),
        ("video_id", "V\u00a01", "V1"),
        ("example_id", "Stra\u00dfe", "STRASSE"),
    ],
)
def test_ids_that_differ_in_blanks_or_case_only_are_refused(
    tmp_path, capsys, column, one, other
):
    rows = []
    for number, name in enumerate((one, other)):
        cells = {"example_id": f"e{number}", "video_id": f"v{number}"}
        cells |= {"patient_id": f"p{number}"} | {column: name}
        rows.append(",".join([*cells.values(), f"0,test,{number},0.5"]))
    path = written(tmp_path / "p.csv", *rows)
    said = refused(capsys, "metrics", path, "--out", tmp_path / "out")
    assert "p.csv" in said and column in said
    assert repr(one) in said and repr(other) in said


def test_ids_are_stripped_and_composed(tmp_path):
    apart = unicodedata.normalize("NFD", "Mu\u0308ller")
    path = written(
        tmp_path / "p.csv",
        f"e0,v0,{apart} ,0,test,1,0.5",
        " e1,v1,M\u00fcller,0,test,0,0.5",
    )
    found = Predictions.read(path)
    assert found.patient_id == ("M\u00fcller",) * 2
    assert found.example_id == ("e0", "e1")
    assert found.patient_index().tolist() == [0, 0]


def test_two_tables_that_spell_a_patient_differently_are_not_joined(table):
    other = replace(
        table,
        example_id=tuple(f"other {one}" for one in table.example_id),
        patient_id=tuple(one.upper() for one in table.patient_id),
    )
    assert other.patient_id != table.patient_id
    with pytest.raises(AnalysisError, match="differ only in blanks or case"):
        joined([table, other])


def test_a_video_of_two_patients_is_refused_by_compare_as_by_metrics(
    tmp_path, capsys, table
):
    several = replace(table, video_id=("v", *table.video_id[1:-1], "v"))
    for name in ("one", "two"):
        several.write(tmp_path / f"{name}.csv")
    paths = tmp_path / "one.csv", tmp_path / "two.csv"
    said = [
        refused(capsys, verb, *runs, "--out", tmp_path / "out")
        for verb, runs in (("metrics", paths[:1]), ("compare", paths))
    ]
    assert all("video 'v' is of more than one patient" in one for one in said)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{HEADER}\ne,v,M\u00fcller,0,test,1,0.5\n".encode("cp1252"), "UTF-8"),
        (f"{HEADER}\ne,v,p,0,test,1,much\n".encode(), "score_a is 'much', not a"),
        (f"{HEADER}\ne,v,p,0,test,yes,0.5\n".encode(), "label_a is 'yes', not a"),
        (f"{HEADER}\ne,v,p,{'9' * 5000},test,1,0.5\n".encode(), "line 2: fold is"),
        (HEADER.replace(",", ";").encode(), "other signs than commas"),
        (b"\x00\x01\x02", "p.csv"),
        (b"", "missing columns"),
    ],
)
def test_a_table_that_is_none_is_told_in_a_line(tmp_path, capsys, content, told):
    (tmp_path / "p.csv").write_bytes(content)
    said = refused(capsys, "metrics", tmp_path / "p.csv", "--out", tmp_path / "out")
    assert told in said and "p.csv" in said and len(said) < 400


DEEP = "[" * 200_000


@pytest.mark.parametrize("content", [DEEP, "{", '{"n": 1}', "[]", b"\xff\xfe"])
def test_damaged_readers_json_is_told_in_a_line(tmp_path, capsys, table, content):
    table.write(tmp_path / "p.csv")
    path = tmp_path / "readers.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    words = ["report", tmp_path / "p.csv", "--out", tmp_path / "out", "--readers", path]
    said = refused(capsys, *words)
    assert "readers.json" in said and len(said) < 400


def test_readers_json_of_another_shape_is_told_in_a_line(tmp_path, capsys, table):
    table.write(tmp_path / "p.csv")
    path = tmp_path / "readers.json"
    path.write_text(
        '{"n": 1, "split": 2, "raters": 3, "pairs": "x", "thresholds_from": 5}'
    )
    words = ["report", tmp_path / "p.csv", "--out", tmp_path / "out", "--readers", path]
    assert "readers.json: not what the verb `readers` writes" in refused(capsys, *words)


@pytest.mark.parametrize("content", [DEEP, "{", b"\xff\xfe\xfd"])
def test_a_damaged_cost_json_is_told_in_a_line(tmp_path, capsys, table, content):
    table.write(tmp_path / "p.csv")
    path = tmp_path / "cost.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    words = ["report", tmp_path / "p.csv", "--out", tmp_path / "out", "--cost", path]
    assert "cost.json: cannot be read" in refused(capsys, *words)
