"""Lists that people open have no formulas; every CSV writer says which kind it is."""

import ast
import csv
import io

import openpyxl
import pytest

from tests.conftest import ROOT
from ultrasound_jax.dicom.index.table import IndexRow, read_index, write_index
from ultrasound_jax.runs.spreadsheet import as_meant, as_text, people_csv
from ultrasound_jax.runs.table_cells import read_table

PACKAGE = ROOT / "ultrasound_jax"
# Written as they are, because programs read them: everything else is for people.
FOR_PROGRAMS = {
    "analysis/table/rows.py": "predictions.csv, whose cells must come back exactly",
    "data/table_file.py": "example_table.csv, which is hashed",
    "radiomics/command.py": "features as numbers, under names of our own",
    "study/stages/cases.py": "cases.csv, from which the builder of regions reads ids",
    "training/console.py": "scalars.csv: numbers under our own names",
}
FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1+1")
HARMLESS = ("", "-", "+", "=", "-0.5", "+3", "-1e-05", "-1,5", "a=b", "'tis", "P-7")


def writes_csv(tree: ast.AST) -> bool:
    """Whether code uses a writer of the csv module, or one of another library's."""
    return any(
        (node.attr in ("writer", "DictWriter") and ast.unparse(node.value) == "csv")
        or node.attr in ("to_csv", "savetxt")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    ) or any(
        isinstance(node, ast.ImportFrom) and node.module == "csv"
        for node in ast.walk(tree)
    )


def test_every_writer_of_csv_is_for_people_or_says_why_not():
    there = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if writes_csv(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert there == {*FOR_PROGRAMS, "runs/spreadsheet.py"}


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_becomes_text_and_comes_back(cell):
    assert as_text(cell) == f"'{cell}"
    assert as_meant(as_text(cell)) == cell
    again = as_text(f"'{cell}")
    assert as_meant(again) == f"'{cell}" and again != as_text(cell)


@pytest.mark.parametrize("cell", HARMLESS)
def test_numbers_and_plain_text_stay_as_they_are(cell):
    assert as_text(cell) == cell and as_meant(cell) == cell


def test_what_is_no_text_is_written_as_it_is():
    assert people_csv([["a", -1, -0.5, None]]) == "a,-1,-0.5,\n"


@pytest.mark.parametrize("cell", FORMULAS[:4])
def test_an_index_has_no_formula_and_is_read_as_it_was(tmp_path, cell):
    row = IndexRow("P_1", manufacturer=cell, labels={"Note": cell, "=1+1": cell})
    write_index(tmp_path / "index.csv", [row])
    text = (tmp_path / "index.csv").read_text(encoding="utf-8")
    cells = [one for line in csv.reader(io.StringIO(text)) for one in line]
    assert cell not in cells and f"'{cell}" in cells
    (back,) = read_index(tmp_path / "index.csv")
    assert back.manufacturer == back.labels["Note"] == back.labels["=1+1"] == cell


def test_sheets_are_read_as_they_were_also_from_a_workbook(tmp_path):
    (tmp_path / "sheet.csv").write_text(people_csv([["id", "note"], ["=1+1", "-2+3"]]))
    assert read_table(tmp_path / "sheet.csv").rows == [["=1+1", "-2+3"]]
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (["id", "note"], ["'=1+1", "x"]):
        sheet.append(line)
    book.save(tmp_path / "sheet.xlsx")
    assert read_table(tmp_path / "sheet.xlsx").rows == [["=1+1", "x"]]
