"""The predictions table as a file."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import CLASSES, simulate
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.predictions import (
    Predictions,
    joined,
)

HEADER = "example_id,video_id,patient_id,fold,split,label_a,label_b,score_a,score_b"
ROW = "e0,v0,p0,0,test,1,,0.25,0.5"


@pytest.fixture
def table() -> Predictions:
    return simulate(np.random.default_rng(0), 12)


def read(tmp_path, *lines: str) -> Predictions:
    path = tmp_path / "predictions.csv"
    path.write_text("\n".join(lines) + "\n")
    return Predictions.read(path)


def test_a_table_survives_writing_and_reading_to_the_last_bit(tmp_path, table):
    path = tmp_path / "predictions.csv"
    table.write(path)
    back = Predictions.read(path)
    assert (back.scores == table.scores).all()
    np.testing.assert_array_equal(back.labels, table.labels)
    for name in ("example_id", "video_id", "patient_id", "split", "classes"):
        assert getattr(back, name) == getattr(table, name)
    assert (back.fold == table.fold).all()
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.csv"]


def test_float32_scores_are_kept_exactly(tmp_path, table):
    single = table.scores.astype(np.float32)
    replace(table, scores=single).write(tmp_path / "p.csv")
    back = Predictions.read(tmp_path / "p.csv").scores
    assert (back.astype(np.float32) == single).all()


def test_columns_have_the_agreed_names_and_order(tmp_path, table):
    table.write(tmp_path / "p.csv")
    header = (tmp_path / "p.csv").read_text().splitlines()[0].split(",")
    assert header[:5] == ["example_id", "video_id", "patient_id", "fold", "split"]
    assert header[5:9] == [f"label_{c}" for c in CLASSES]
    assert header[9:] == [f"score_{c}" for c in CLASSES]


def test_an_empty_label_cell_is_unknown(tmp_path):
    table = read(tmp_path, HEADER, ROW)
    assert table.labels[0, 0] == 1 and np.isnan(table.labels[0, 1])
    table.write(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == f"{HEADER}\n{ROW}\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER, ROW, "e1,v0,p0,0,test,1,0,oh,0.5"], "line 3: score_a is 'oh', not a"),
        ([HEADER, "e1,v0,p0,0,test,1,0,nan,0.5"], "line 2: score_a is 'nan'"),
        ([HEADER, "e1,v0,p0,0,test,1,0,1.5,0.5"], "line 2: score_a is '1.5'"),
        ([HEADER, "e1,v0,p0,0,test,2,0,0.5,0.5"], "line 2: label_a is '2'"),
        ([HEADER, "e1,v0,p0,one,test,1,0,0.5,0.5"], "line 2: fold is 'one'"),
        ([HEADER, f"e1,v0,p0,{10**30},test,1,0,0.5,0.5"], "line 2: fold is '1000"),
        ([HEADER, "e1,v0,,0,test,1,0,0.5,0.5"], "line 2: patient_id is empty"),
        ([HEADER, "e1, ,p0,0,test,1,0,0.5,0.5"], "line 2: video_id is empty"),
        ([HEADER, "e1,v0,p0"], "line 2: 3 cells, not 9"),
        ([HEADER, ROW, ROW], "'e0' occurs twice in split test of fold 0"),
        ([HEADER.replace(",score_b", "")], "missing columns: score_b"),
        ([HEADER.replace("video_id,", "")], "missing columns: video_id"),
        ([HEADER.replace("fold,split", "split,fold")], "must begin with exactly"),
        (["zone," + HEADER], "must begin with exactly"),
        ([HEADER + ",zone,zone"], "column 'zone' occurs twice"),
        ([HEADER + ",score_c"], "cannot be called 'score_c'"),
        ([HEADER + ",zone", ROW], "line 2: 9 cells, not 10"),
        ([""], "missing columns"),
    ],
)
def test_bad_files_name_the_file_the_line_and_the_value(tmp_path, lines, message):
    with pytest.raises(AnalysisError, match=message) as caught:
        read(tmp_path, *lines)
    assert "predictions.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spreadsheets_mark_and_empty_lines_are_no_mistake(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("\ufeff" + "\n".join([HEADER, ROW, "", ""]), encoding="utf-8")
    assert Predictions.read(path).example_id == ("e0",)


def test_a_row_of_nobody_is_refused(table):
    nobody = ("", *table.patient_id[1:])
    with pytest.raises(AnalysisError, match="a row has no patient_id"):
        replace(table, patient_id=nobody)


def test_a_missing_file_is_one_line_with_its_name(tmp_path):
    with pytest.raises(AnalysisError, match="none.csv: cannot be read"):
        Predictions.read(tmp_path / "none.csv")


def test_scores_that_are_no_probabilities_are_refused(table):
    for wrong in (np.nan, -0.1, 1.1):
        scores = table.scores.copy()
        scores[3, 1] = wrong
        with pytest.raises(AnalysisError, match="score of b_line for example"):
            replace(table, scores=scores)


def test_the_same_example_may_occur_in_several_folds(table):
    twice = np.concatenate([np.arange(3), np.arange(3)])
    with pytest.raises(AnalysisError, match="occurs twice"):
        table.rows(twice)


def test_asking_for_a_split_that_is_not_there_lists_those_that_are(table):
    assert len(table.of_split("test")) == len(table)
    with pytest.raises(AnalysisError, match="'train'; there are: test"):
        table.of_split("train")


def test_further_columns_are_written_behind_the_scores_and_read_again(tmp_path, table):
    zones = tuple("L1" if i % 2 else "" for i in range(len(table)))
    odd = tuple(f'a "b", {i}\nü' for i in range(len(table)))
    replace(table, extra={"zone": zones, "probe": odd}).write(tmp_path / "p.csv")
    back = Predictions.read(tmp_path / "p.csv")
    assert back.extra == {"zone": zones, "probe": odd}
    assert (back.scores == table.scores).all()
    assert back.rows(np.array([3, 1])).extra["zone"] == ("L1", "L1")


def test_a_table_without_further_columns_has_none(tmp_path, table):
    table.write(tmp_path / "p.csv")
    assert Predictions.read(tmp_path / "p.csv").extra == {}


def test_a_further_column_of_another_length_is_refused(table):
    with pytest.raises(AnalysisError, match="1 cells of zone, .* rows"):
        replace(table, extra={"zone": ("L1",)})


def test_joined_tables_fill_columns_that_one_of_them_lacks(table):
    first, second = table.rows(np.arange(2)), table.rows(np.arange(2, 5))
    both = joined([replace(first, extra={"zone": ("a", "b")}), second])
    assert both.extra == {"zone": ("a", "b", "", "", "")}
    assert both.example_id == table.example_id[:5]
    np.testing.assert_array_equal(both.scores, table.scores[:5])


def test_tables_of_other_classes_are_not_joined(table):
    with pytest.raises(AnalysisError, match="other classes"):
        joined([table, replace(table, classes=("p", "q", "r", "s"))])
    with pytest.raises(AnalysisError, match="no predictions tables"):
        joined([])


def test_the_second_id_is_called_by_the_unit_of_the_group(tmp_path, table):
    for units, column in (
        (("clip", "video"), "video_id"),
        (("image", "image"), "image_id"),
        (("image", "lesion"), "lesion_id"),
        (("slice", "volume"), "volume_id"),
        (("example", "study"), "study_id"),
    ):
        renamed = replace(table, units=units)
        renamed.write(tmp_path / f"{column}.csv")
        header, rest = (tmp_path / f"{column}.csv").read_text().split("\n", 1)
        assert header.split(",")[:3] == ["example_id", column, "patient_id"]
        back = Predictions.read(tmp_path / f"{column}.csv")
        assert back.units == units and back.video_id == table.video_id
        assert rest == (tmp_path / "video_id.csv").read_text().split("\n", 1)[1]


def test_a_table_of_clips_is_written_as_it_always_was(tmp_path):
    table = Predictions(
        example_id=("e1", 'e"2'),
        video_id=("v1", "v1"),
        patient_id=("p", "p"),
        fold=np.array([2, 2]),
        split=("test", "validation"),
        classes=("a_line", "b_line"),
        labels=np.array([[1, np.nan], [0, 1]]),
        scores=np.array([[0.1, 1], [1 / 3, 1e-9]]),
        extra={"zone": ("L1", "")},
    )
    table.write(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_bytes() == (
        b"example_id,video_id,patient_id,fold,split,label_a_line,label_b_line,"
        b"score_a_line,score_b_line,zone\n"
        b"e1,v1,p,2,test,1,,0.1,1.0,L1\n"
        b'"e""2",v1,p,2,validation,0,1,0.3333333333333333,1e-09,\n'
    )


def test_frames_are_written_and_read_back_and_are_no_subgroup(tmp_path):
    rng = np.random.default_rng(3)
    table = simulate(rng, 4)
    frames = rng.integers(1, 31, len(table))
    given = replace(table, frames=frames, extra={"site": ("a",) * len(table)})
    given.write(tmp_path / "predictions.csv")
    header = (tmp_path / "predictions.csv").read_text().partition("\n")[0]
    assert header.endswith(",frames,site")
    read = Predictions.read(tmp_path / "predictions.csv")
    assert read.frames is not None and read.frames.tolist() == frames.tolist()
    assert list(read.extra) == ["site"]
    assert read.rows(np.array([1])).frames.tolist() == [frames[1]]
    table.write(tmp_path / "older.csv")
    assert Predictions.read(tmp_path / "older.csv").frames is None


@pytest.mark.parametrize("cell", ["0", "2.5", "many", ""])
def test_frames_that_cannot_be_are_refused(tmp_path, cell):
    table = simulate(np.random.default_rng(3), 2)
    replace(table, frames=np.full(len(table), 77)).write(tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text()
    (tmp_path / "p.csv").write_text(text.replace(",77\n", f",{cell}\n", 1))
    with pytest.raises(AnalysisError, match=f"line 2: frames is '{cell}', not a"):
        Predictions.read(tmp_path / "p.csv")


def test_a_further_column_cannot_be_called_frames():
    table = simulate(np.random.default_rng(3), 2)
    with pytest.raises(AnalysisError, match="cannot be called 'frames'"):
        replace(table, extra={"frames": ("1",) * len(table)})


def test_tables_with_and_without_frames_are_not_joined():
    table = simulate(np.random.default_rng(3), 2)
    other = replace(table, fold=table.fold + 1, frames=np.ones(len(table), int))
    with pytest.raises(AnalysisError, match="of 2 tables 1 have a column frames"):
        joined([table, other])
    both = joined([replace(table, frames=np.full(len(table), 2)), other])
    assert both.frames is not None and both.frames.sum() == 3 * len(table)
