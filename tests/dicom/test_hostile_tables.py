"""An index, a key or a sidecar that somebody has damaged: one line with the file."""

import csv

import pytest

from ultrasound_jax.dicom.convert.sidecar import read_sidecar
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.index.table import (
    IndexRow,
    read_index,
    read_sources,
    sources_path,
    write_index,
)
from ultrasound_jax.runs.journal import Journal
from ultrasound_jax.types import InputError

DEEP = "[" * 100_000
TEXTS = {
    "deeply nested": DEEP.encode(),
    "deeply nested below a key": f'{{"format": {DEEP}'.encode(),
    "not UTF-8": b'{"format": "\xff\xfe"}',
    "a list": b"[1, 2]",
    "a number": b"7",
    "cut": b'{"format": "ul',
    "empty": b"",
    "numbers of ten thousand digits": b"1" * 10_000,
}


def changed(path, **cells):
    """Writes an index of one row and replaces cells of it."""
    write_index(path, [IndexRow(video_id="v1", frames=3)])
    with path.open(newline="") as file:
        [header, row] = csv.reader(file)
    values = dict(zip(header, row, strict=True)) | cells
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, [values[name] for name in header]])
    return path


@pytest.mark.parametrize(
    "cells",
    [
        {"frames": "many"},
        {"frames": "1e999"},
        {"frames": "nan"},
        {"rows": "９９x"},
        {"frame_rate": "nan"},
        {"frame_rate": "inf"},
        {"mm_x": "-inf"},
        {"depth_mm": "deep"},
        {"regions": DEEP},
        {"regions": "5"},
        {"regions": "[1, 2]"},
        {"regions": '{"a": 1}'},
        {"regions": '"text"'},
    ],
)
def test_a_cell_that_is_not_what_its_column_holds_is_one_line(cells, tmp_path):
    path = changed(tmp_path / "index.csv", **cells)
    [name] = cells
    with pytest.raises(InputError, match=rf"index\.csv: .*{name} is ") as error:
        read_index(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_cell_beyond_what_a_table_can_hold_is_one_line(tmp_path):
    path = changed(tmp_path / "index.csv", reason="x" * 200_000)
    with pytest.raises(
        InputError, match=r"index\.csv: no readable index: .*field larger"
    ):
        read_index(path)


@pytest.mark.parametrize("name", TEXTS)
def test_a_sources_file_that_is_none_is_one_line(name, tmp_path):
    index = tmp_path / "index.csv"
    sources_path(index).write_bytes(TEXTS[name])
    with pytest.raises(InputError, match=r"index\.sources\.json: no readable sources"):
        read_sources(index)


@pytest.mark.parametrize("name", TEXTS)
def test_a_key_file_that_is_none_is_one_line_and_stays_as_it_is(name, tmp_path):
    path = tmp_path / "key.json"
    path.write_bytes(TEXTS[name])
    with pytest.raises(InputError, match=r"key\.json: "):
        Pseudonyms.open(path)
    assert path.read_bytes() == TEXTS[name]


@pytest.mark.parametrize("name", TEXTS)
def test_a_sidecar_that_is_none_is_written_anew(name, tmp_path):
    path = tmp_path / "film.json"
    path.write_bytes(TEXTS[name])
    assert read_sidecar(path) is None


@pytest.mark.parametrize("name", TEXTS)
def test_a_journal_that_is_none_is_begun_anew(name, tmp_path):
    path = tmp_path / ".journal"
    path.write_bytes(TEXTS[name])
    journal = Journal.open(path, {"a": 1})
    assert not journal.done
    journal.record("one", 1)
    journal.close()
    assert Journal.open(path, {"a": 1}).done == {"one": 1}
