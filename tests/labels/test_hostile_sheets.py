"""Sheets that are none, or hold what no sheet does: one line with the file's name."""

import os

import pytest

from tests.labels.test_labels import HEADING
from ultrasound_jax.dicom.__main__ import main
from ultrasound_jax.labels.sheet import read_sheet
from ultrasound_jax.types import InputError

HEAD = HEADING.encode()
SHEETS = {
    "empty": b"",
    "only zeros": bytes(1000),
    "a workbook that is cut": b"PK\x03\x04" + bytes(100),
    "an old workbook": b"\xd0\xcf\x11\xe0" + bytes(100),
    "random bytes": bytes(range(256)) * 20,
    "bytes of UTF-16 without a mark": HEADING.encode("utf-16-le"),
    "half of a UTF-16 letter": b"\xff\xfe" + HEADING.encode("utf-16-le") + b"a",
    "a lone surrogate in UTF-8": HEAD + b"v1,50,,\xed\xa0\x80\xff\x81\n",
    "a cell of megabytes": HEAD + b"v1," + b"9" * 200_000 + b"\n",
    "an open quotation mark": HEAD + b'v1,"' + b"x\n" * 100_000,
    "JSON": b"[" * 100_000,
    "no heading": b"1,2,3\n4,5,6\n",
}


@pytest.mark.parametrize("name", SHEETS)
def test_what_is_no_sheet_is_one_line_with_its_name(name, tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_bytes(SHEETS[name])
    with pytest.raises(InputError, match=r"sheet\.csv: ") as error:
        read_sheet(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize(
    "cell", ["many", "1e999", "nan", "-3", "５０a", "0x10", "9" * 400, "1_000"]
)
def test_text_where_frames_are_counted_is_named_with_its_row(cell, tmp_path, capsys):
    path = tmp_path / "sheet.csv"
    path.write_bytes(HEAD + f"v1,{cell}\n".encode())
    assert main(["labels", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: sheet.csv: row 2, column frames: ")
    assert said.count("\n") == 1 and len(said) < 300


def test_a_pipe_is_no_sheet_and_is_not_waited_for(tmp_path):
    path = tmp_path / "sheet.csv"
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"sheet\.csv: no such sheet"):
        read_sheet(path)
