"""The example table of a built dataset, scanned once and kept beside it.

The first line is the hash of all content; then one line an example: its ids, the hash
of its pixels, its labels, and further columns that examples can be grouped by. It is a
copy of what the records say: `seal.py` tells one that was edited, which is made anew.
"""

import contextlib
import csv
import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ultrasound_jax.data import seal
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError

TABLE_FILE = "example_table.csv"
IDS = ("example_id", "video_id", "patient_id", "study_id")
_BEFORE_LABELS = len(IDS) + 1
_HASH_DIGITS = 16


def group_readers(features: Mapping[str, Any]) -> dict[str, Callable[[Any], str]]:
    """What turns a record's cell into text, for the columns that group examples."""
    return {
        name: partial(_class_name, feature) if hasattr(feature, "int2str") else text_of
        for name, feature in features.items()
    }


def _class_name(feature: Any, value: Any) -> str:
    return feature.int2str(int(value)) if value >= 0 else ""


def read_table(
    records: Any,
    folder: Path,
    *,
    pixels: str,
    masks: Sequence[str] = (),
    classes: Sequence[str],
    name: str,
    groups: Mapping[str, Callable[[Any], str]] = MappingProxyType({}),
    say: Callable[[str], None] = print,
) -> ExampleTable:
    """The table of a dataset's records, from its file if that is there.

    A file of another number of records or columns, or one that was edited, is written
    anew; of the latter it is said. `groups` turns the record's cells of further columns
    into text (see `group_readers`); they are no part of the hash, which names what is
    learnt from.

    Raises:
        SealError: the dataset's own files are no longer what the table was made from.
    """
    path = folder / TABLE_FILE
    columns = _BEFORE_LABELS + len(classes) + len(groups)
    text = _text(path)
    rows = list(csv.reader(io.StringIO(text)))[1:] if text else []
    fits = len(rows) == len(records) and {len(row) for row in rows} <= {columns}
    fits = fits and bool(text)
    sealed = (folder / seal.SEAL_FILE).exists()
    if not fits or not _is_sealed(folder, text, sealed=sealed):
        if fits and sealed:
            say(
                f"{path} is not what was written there: it is made anew from the "
                "records. Labels are corrected in the files that the dataset is built "
                "from"
            )
        text = _scan(records, (pixels, *masks), len(classes), groups)
        # A read-only dataset is scanned at every start.
        with contextlib.suppress(InputError):
            write_whole(path, text)
            seal.make(folder, text)
    return _parse(text, tuple(classes), name, tuple(groups))


def _is_sealed(folder: Path, text: str, *, sealed: bool) -> bool:
    """Whether a table may be believed.

    One without a seal, of an earlier version, is read once more and sealed; in a folder
    that cannot be written it is believed, as it would be read at every start.
    """
    if not sealed:
        return not os.access(folder, os.W_OK)
    return seal.holds(folder, text)


def _text(path: Path) -> str:
    """What the file says; empty where it is none, or cannot be read as text."""
    try:
        return path.read_bytes().decode()  # each line end as it was written
    except (OSError, ValueError):
        return ""


def text_of(value: bytes | str) -> str:
    """A text feature as TFDS gives it, or plain text."""
    return value.decode() if isinstance(value, bytes) else value


def pixel_hash(pixels: np.ndarray) -> str:
    """Names a picture by its shape and values; empty for one that shows nothing.

    All-black frames are no evidence that two examples have one origin.
    """
    if pixels.size == 0 or (pixels == pixels.flat[0]).all():
        return ""
    content = hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode())
    content.update(pixels.tobytes())
    return content.hexdigest()[:_HASH_DIGITS]


def _scan(
    records: Any,
    arrays: Sequence[str],
    classes: int,
    groups: Mapping[str, Callable[[Any], str]],
) -> str:
    content = hashlib.sha256()
    out = io.StringIO()
    rows = csv.writer(out)
    for i in range(len(records)):
        record = records[i]
        ids = [text_of(record[k]) if k in record else "" for k in IDS]
        labels = record["labels"] if classes else np.zeros(0, np.int8)
        _add(content, record, arrays, ids)
        further = [read(record[column]) for column, read in groups.items()]
        rows.writerow(
            [*ids, pixel_hash(record[arrays[0]]), *(int(x) for x in labels), *further]
        )
    return f"{content.hexdigest()}\n{out.getvalue()}"


def _add(
    content: Any, record: Mapping[str, Any], arrays: Sequence[str], ids: list[str]
) -> None:
    given = [one for name, one in zip(IDS, ids, strict=True) if name in record]
    content.update("\0".join(given).encode())
    if "labels" in record:
        content.update(record["labels"].tobytes())
    pixels = record[arrays[0]]
    if pixels.ndim < 4:  # images, as against clips, have sizes of their own
        content.update(str(pixels.shape).encode())
    for name in arrays:
        content.update(record[name].tobytes())


def _parse(
    text: str, classes: tuple[str, ...], name: str, groups: tuple[str, ...]
) -> ExampleTable:
    data_hash, _, body = text.partition("\n")
    rows = list(csv.reader(io.StringIO(body)))
    behind = _BEFORE_LABELS + len(classes)
    labels = [[int(x) for x in row[_BEFORE_LABELS:behind]] for row in rows]
    columns = [tuple(row[k] for row in rows) for k in range(_BEFORE_LABELS)]
    example_id, video_id, patient_id, study_id, pixel_hashes = columns
    return ExampleTable(
        example_id=example_id,
        video_id=video_id,
        patient_id=patient_id,
        labels=np.array(labels, np.int8).reshape(len(rows), len(classes)),
        classes=classes,
        data_hash=data_hash,
        dataset=name,
        study_id=study_id,
        pixel_hash=pixel_hashes,
        groups={
            column: tuple(row[behind + k] for row in rows)
            for k, column in enumerate(groups)
        },
    )
