"""Opens a built dataset by name, building it first where it is missing.

Pixels are copied once on their way to a batch: an ArrayRecord is read as bytes, the
clip is a view of them, and `ClipSource.load` writes it into the batch's own array.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.data.table_file import group_readers, read_table
from ultrasound_jax.types import ClipBatch, UltrasoundError

# Split of a built dataset: the feature that holds its pixels.
PIXELS = {"clips": "clip", "images": "image"}


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
    flag: str = "--config.data.manual_dir",
) -> None:
    """Builds the dataset unless it is there; says so when it does.

    `flag` is what a user gives the folder of their files with.
    """
    builder = _builder(name, options, data_dir)
    if builder.is_prepared():
        return
    import tensorflow_datasets as tfds

    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not manual_dir:
        raise SourceError(
            f"dataset {name} is built from files of yours: give {flag}=DIR, as "
            f"ultrasound_jax/datasets/{name}/README.md says"
        )
    say(f"dataset {builder.info.full_name} is not there: building {builder.data_dir}")
    manual = str(Path(manual_dir).expanduser().absolute()) if manual_dir else None
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=manual)
    )


def open_source(
    name: str, *, options: Mapping[str, Any], data_dir: str = ""
) -> "ClipSource":
    """Opens a built dataset of clips; raises SourceError where it is not built."""
    return ClipSource(_built(name, options, data_dir))


def open_records(
    name: str, *, options: Mapping[str, Any], data_dir: str = ""
) -> "RecordSource":
    """Opens a built dataset of clips or images; raises SourceError as `open_source`."""
    return RecordSource(_built(name, options, data_dir))


def _built(name: str, options: Mapping[str, Any], data_dir: str) -> Any:
    builder = _builder(name, options, data_dir)
    if not builder.is_prepared():
        raise SourceError(f"dataset {builder.info.full_name} is not built")
    return builder


class RecordSource:
    """The examples of one built dataset, whatever they are.

    `table` has ids, labels and pixel hashes of all without their pixels; `records` is
    TFDS's own random access to whole records, whose feature `pixels` is the picture.
    """

    def __init__(self, builder: Any) -> None:
        self.name: str = builder.info.full_name
        splits = [split for split in PIXELS if split in builder.info.splits]
        if not splits:
            raise SourceError(
                f"{self.name} has the splits {', '.join(builder.info.splits)}; one of "
                f"{', '.join(PIXELS)} is needed"
            )
        self.pixels = PIXELS[splits[0]]
        metadata = builder.info.metadata
        labelled = "labels" in builder.info.features
        self.classes = tuple(str(c) for c in metadata["classes"] if labelled)
        self.records = builder.as_data_source(split=splits[0])
        self.table = read_table(
            self.records,
            Path(builder.data_dir),
            pixels=self.pixels,
            classes=self.classes,
            name=self.name,
            groups=group_readers(dict(builder.info.features.items())),
        )

    def __len__(self) -> int:
        return len(self.table.example_id)


class ClipSource(RecordSource):
    """Clips as batches; `clip_shape` is `(frames, height, width, 1)` with the nominal
    length that batches are padded to.
    """

    def __init__(self, builder: Any) -> None:
        super().__init__(builder)
        if self.pixels != "clip":
            raise SourceError(f"{self.name} holds single images, not clips")
        metadata = builder.info.metadata
        size = int(metadata["size"])
        self.clip_shape = (int(metadata["clip_frames"]), size, size, 1)

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
