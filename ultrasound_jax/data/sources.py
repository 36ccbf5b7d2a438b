"""Opens a built dataset by name, building it first where it is missing.

Pixels are copied once on their way to a batch: an ArrayRecord is read as bytes, the
clip is a view of them, and `ClipSource.load` writes it into the batch's own array.
"""

import contextlib
import csv
import hashlib
import importlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.types import ClipBatch, UltrasoundError

SPLIT = "clips"
TABLE_FILE = "example_table.csv"


class SourceError(UltrasoundError):
    """A dataset that is unknown, cannot be built, or does not hold what it should."""


def known_datasets() -> list[str]:
    """Returns the names of the builders in `ultrasound_jax/datasets`."""
    folder = Path(__file__).parent.parent / "datasets"
    return sorted(p.parent.name for p in folder.glob("*/*_dataset_builder.py"))


def _builder(name: str, options: Mapping[str, Any], data_dir: str) -> Any:
    if name not in known_datasets():
        raise SourceError(
            f"config.data.name='{name}' is no dataset; there are: "
            f"{', '.join(known_datasets())}"
        )
    module = importlib.import_module(
        f"ultrasound_jax.datasets.{name}.{name}_dataset_builder"
    )
    folder = str(Path(data_dir).expanduser()) if data_dir else None
    return module.Builder(
        config=module.Builder.make_config(**dict(options)), data_dir=folder
    )


def prepare(
    name: str,
    *,
    options: Mapping[str, Any],
    data_dir: str = "",
    manual_dir: str = "",
    say: Callable[[str], None] = print,
) -> None:
    """Builds the dataset unless it is there; says so when it does."""
    builder = _builder(name, options, data_dir)
    if builder.is_prepared():
        return
    import tensorflow_datasets as tfds

    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not manual_dir:
        raise SourceError(
            f"dataset {name} is built from files of yours: give "
            "--config.data.manual_dir=DIR, as ultrasound_jax/datasets/"
            f"{name}/README.md says"
        )
    say(f"dataset {builder.info.full_name} is not there: building {builder.data_dir}")
    manual = str(Path(manual_dir).expanduser().absolute()) if manual_dir else None
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual)
    )


def open_source(
    name: str, *, options: Mapping[str, Any], data_dir: str = ""
) -> "ClipSource":
    """Opens a built dataset; raises SourceError where it is not built."""
    builder = _builder(name, options, data_dir)
    if not builder.is_prepared():
        raise SourceError(f"dataset {builder.info.full_name} is not built")
    return ClipSource(builder)


class ClipSource:
    """The clips of one built dataset, read by their place.

    `table` has ids and labels of all clips without their pixels; `clip_shape` is
    `(frames, height, width, 1)` with the nominal length that batches are padded to;
    `records` is TFDS's own random access to whole records.
    """

    def __init__(self, builder: Any) -> None:
        self.name: str = builder.info.full_name
        metadata = builder.info.metadata
        self.classes = tuple(str(c) for c in metadata["classes"])
        size = int(metadata["size"])
        self.clip_shape = (int(metadata["clip_frames"]), size, size, 1)
        self.records = builder.as_data_source(split=SPLIT)
        path = Path(builder.data_dir) / TABLE_FILE
        columns = 3 + len(self.classes)
        text = _read_or_scan(self.records, path, columns)
        self.table = _parse_table(text, self.classes, self.name)

    def __len__(self) -> int:
        return len(self.table.example_id)

    def load(self, indices: Sequence[int] | np.ndarray) -> ClipBatch:
        """Reads clips into a new batch; an index of -1 gives a filling row."""
        indices = np.asarray(indices, np.int32)
        clip = np.zeros((len(indices), *self.clip_shape), np.uint8)
        length = np.zeros(len(indices), np.int32)
        labels = np.full((len(indices), len(self.classes)), -1, np.int8)
        rows = np.flatnonzero(indices >= 0)
        records = self.records.__getitems__([int(i) for i in indices[rows]])
        for row, record in zip(rows, records, strict=True):
            frames = record["clip"]
            if frames.shape[0] > clip.shape[1]:
                raise SourceError(
                    f"{self.name}: clip {record['example_id']!r} has {frames.shape[0]}"
                    f" frames, at most {clip.shape[1]} are allowed"
                )
            length[row] = frames.shape[0]
            clip[row, : length[row]] = frames
            labels[row] = record["labels"]
        return ClipBatch(clip=clip, length=length, labels=labels, index=indices)


def _read_or_scan(records: Any, cache: Path, columns: int) -> str:
    """Returns ids, labels and the content's hash, from the cache if it is there."""
    if cache.is_file():
        text = cache.read_text()
        rows = list(csv.reader(io.StringIO(text)))[1:]
        if len(rows) == len(records) and {len(row) for row in rows} == {columns}:
            return text
    text = _scan(records)
    temporary = cache.with_name(f".{cache.name}.{os.getpid()}.tmp")
    # A read-only dataset is scanned at every start.
    with contextlib.suppress(OSError):
        temporary.write_text(text)
        temporary.replace(cache)
    return text


def _scan(records: Any) -> str:
    content = hashlib.sha256()
    out = io.StringIO()
    rows = csv.writer(out)
    for i in range(len(records)):
        record = records[i]
        ids = [_text(record[k]) for k in ("example_id", "video_id", "patient_id")]
        content.update("\0".join(ids).encode())
        content.update(np.ascontiguousarray(record["labels"]).tobytes())
        content.update(np.ascontiguousarray(record["clip"]).tobytes())
        rows.writerow([*ids, *(int(x) for x in record["labels"])])
    return f"{content.hexdigest()}\n{out.getvalue()}"


def _parse_table(text: str, classes: tuple[str, ...], name: str) -> ExampleTable:
    data_hash, _, body = text.partition("\n")
    rows = list(csv.reader(io.StringIO(body)))
    labels = np.array([[int(x) for x in row[3:]] for row in rows], np.int8)
    return ExampleTable(
        example_id=tuple(row[0] for row in rows),
        video_id=tuple(row[1] for row in rows),
        patient_id=tuple(row[2] for row in rows),
        labels=labels.reshape(len(rows), len(classes)),
        classes=classes,
        data_hash=data_hash,
        dataset=name,
    )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
