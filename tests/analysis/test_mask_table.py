"""The table of masks as a file, and which kind of table a file is."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import simulate
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.levels import at_level, levels_of
from ultrasound_jax.analysis.table.mask_table import MaskTable, read_table
from ultrasound_jax.analysis.table.predictions import Predictions, joined

HEADER = (
    "example_id,volume_id,patient_id,fold,split,tp_lung,tp_mass,fp_lung,fp_mass,"
    "fn_lung,fn_mass,hd95_lung,hd95_mass,mask_file,zone"
)
ROW = "s0,v0,p0,0,test,5,0,1,0,2,0,1.5,,masks/s0.png,L1"


@pytest.fixture
def table() -> MaskTable:
    rng = np.random.default_rng(0)

    def pixels():
        return rng.integers(0, 100, (6, 2))

    far = rng.random((6, 2))
    far[2, 1] = np.nan
    return MaskTable(
        example_id=tuple(f"s{i}" for i in range(6)),
        video_id=("v0", "v0", "v1", "v1", "v2", "v3"),
        patient_id=("p0",) * 4 + ("p1", "p2"),
        fold=np.zeros(6, int),
        split=("validation",) * 2 + ("test",) * 4,
        classes=("lung", "mass"),
        tp=pixels(),
        fp=pixels(),
        fn=pixels(),
        distances={"hd95": far, "assd": far / 3},
        mask_file=("masks/s0.png", *[""] * 5),
        extra={"zone": ("L1", "", "L1", "R1", "R1", "R2")},
        units=("slice", "volume"),
    )


def test_a_table_survives_writing_and_reading_to_the_last_bit(tmp_path, table):
    table.write(tmp_path / "predictions.csv")
    back = read_table(tmp_path / "predictions.csv")
    assert isinstance(back, MaskTable) and back.kind == "masks"
    for name in ("tp", "fp", "fn"):
        assert getattr(back, name).dtype == np.int64
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
    assert list(back.distances) == ["hd95", "assd"]
    for name, values in table.distances.items():
        np.testing.assert_array_equal(back.distances[name], values)
    for name in ("example_id", "video_id", "patient_id", "split", "classes"):
        assert getattr(back, name) == getattr(table, name)
    assert back.mask_file == table.mask_file and back.extra == table.extra
    assert back.units == ("slice", "volume")


def test_cells_have_the_agreed_names_and_order(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(f"{HEADER}\n{ROW}\n")
    table = MaskTable.read(path)
    assert table.distances["hd95"][0, 0] == 1.5
    assert np.isnan(table.distances["hd95"][0, 1])
    table.write(path)
    assert path.read_text() == f"{HEADER}\n{ROW}\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER, ROW.replace(",5,0,", ",5.5,0,")], "line 2: tp_lung is '5.5', not a"),
        ([HEADER, ROW.replace(",5,0,", ",-5,0,")], "line 2: tp_lung is '-5', not 0"),
        ([HEADER, ROW.replace("1.5,", "inf,")], "line 2: hd95_lung is 'inf'"),
        ([HEADER, ROW.replace("masks/", "../")], "'../s0.png', not a path within"),
        ([HEADER, ROW.replace("masks/", "/")], "'/s0.png', not a path within"),
        ([HEADER.replace("fp_mass,", "")], "missing columns: fp_mass"),
        ([HEADER.replace("mask_file,", "")], "missing columns: mask_file"),
        ([HEADER.replace("fold,split", "split,fold")], "must begin with exactly"),
        ([HEADER + ",tp_more"], "missing columns: tp_more|missing columns: fp_more"),
        ([HEADER, ROW, ROW], "'s0' occurs twice in split test of fold 0"),
        ([HEADER, ROW.replace("v0", " ")], "line 2: volume_id is empty"),
    ],
)
def test_bad_files_name_the_file_the_line_and_the_value(tmp_path, lines, message):
    path = tmp_path / "predictions.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(AnalysisError, match=message) as caught:
        read_table(path)
    assert "predictions.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_header_tells_which_kind_of_table_it_is(tmp_path, table):
    simulate(np.random.default_rng(0), 3).write(tmp_path / "scores.csv")
    table.write(tmp_path / "masks.csv")
    assert isinstance(read_table(tmp_path / "scores.csv"), Predictions)
    assert isinstance(read_table(tmp_path / "masks.csv"), MaskTable)


def test_rows_of_a_split_keep_everything(table):
    test = table.of_split("test")
    assert test.example_id == ("s2", "s3", "s4", "s5")
    np.testing.assert_array_equal(test.tp, table.tp[2:])
    np.testing.assert_array_equal(test.distances["assd"], table.distances["assd"][2:])
    assert test.extra["zone"] == ("L1", "R1", "R1", "R2")


def test_joined_tables_have_no_distance_where_one_lacks_it(table):
    first, second = table.of_split("validation"), table.of_split("test")
    both = joined([replace(first, distances={}), second])
    assert both.example_id == table.example_id
    np.testing.assert_array_equal(both.fn, table.fn)
    assert np.isnan(both.distances["hd95"][:2]).all()
    np.testing.assert_array_equal(
        both.distances["hd95"][2:], table.distances["hd95"][2:]
    )
    with pytest.raises(AnalysisError, match="one of masks cannot be joined"):
        joined([first, simulate(np.random.default_rng(0), 3)])
    with pytest.raises(AnalysisError, match="other units cannot be joined: image, im"):
        joined([first, replace(second, units=("image", "image"))])


def test_slices_of_a_volume_are_added_up(table):
    assert levels_of(table) == ("slice", "volume")
    volumes = at_level(table, "volume")
    assert volumes.example_id == ("v0", "v1", "v2", "v3")
    np.testing.assert_array_equal(volumes.tp[1], table.tp[2] + table.tp[3])
    assert not volumes.distances and volumes.extra["zone"] == ("", "", "R1", "R2")
    with pytest.raises(AnalysisError, match="'volume_mean' is not one of slice, volu"):
        at_level(table, "volume_mean")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tp": np.full((6, 2), -1)}, "tp must be 0 or more"),
        ({"distances": {"hd95": np.full((6, 2), -1.0)}}, "hd95 must be 0 or more"),
        ({"distances": {"tp": np.zeros((6, 2))}}, "distance cannot be called 'tp'"),
        ({"distances": {"lesions": np.zeros((6, 2))}}, "cannot be called 'lesions'"),
        ({"lesions": {"hd95_px": np.zeros((6, 2))}}, "cannot be called 'hd95_px'"),
        ({"diagonals": {"cm": np.zeros(6)}}, "a diagonal is in px, mm, not cm"),
        ({"diagonals": {"px": np.full(6, -1.0)}}, "diagonal_px must be 0 or more"),
        ({"mask_file": ("a",)}, "1 mask_files, 6 rows"),
        ({"extra": {"tp_lung": ("",) * 6}}, "cannot be called 'tp_lung'"),
        ({"extra": {"volume_id": ("",) * 6}}, "cannot be called 'volume_id'"),
        ({"units": ("slice", "patient")}, "column patient_id is taken"),
        ({"units": ("slice", "a b")}, "unit 'a b'"),
    ],
)
def test_impossible_tables_are_refused(table, change, message):
    with pytest.raises(AnalysisError, match=message):
        replace(table, **change)
