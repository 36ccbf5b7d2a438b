"""The pictures of a segmentation with their found masks, as a folder to cut from."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Int, Int8, UInt8

from ultrasound_jax.data import source as sources
from ultrasound_jax.data.dataset import open_dataset
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.manifest import Manifest, Part
from ultrasound_jax.data.source import Source
from ultrasound_jax.datasets.regions import files
from ultrasound_jax.media.regions import scaled_mask
from ultrasound_jax.predict.stages.errors import StagesError
from ultrasound_jax.predict.stages.segmenter import Segmenter
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.study.stages.asked import REFUSE, Asked
from ultrasound_jax.types import Settings

Mask = Callable[[str], UInt8[np.ndarray, "h w"]]
SIZE = "size"  # the option of a dataset that may differ between mask and picture


@dataclass(frozen=True, eq=False)
class Cases:
    """The cases that are classified, and on which of them nothing was found.

    segmented, pictures: the dataset as the segmenter read it, and as it is cut; rows:
    of the cases in the former, place: example -> its place in the latter.
    """

    segmenter: Segmenter
    segmented: Source
    pictures: Source
    rows: Int[np.ndarray, " n"] = field(repr=False)
    place: Mapping[str, int] = field(repr=False)
    classes: tuple[str, ...]
    labels: Int8[np.ndarray, "n k"] = field(repr=False)
    nothing: frozenset[str] = field(repr=False)

    @property
    def table(self) -> ExampleTable:
        """Of the dataset, not of the cases alone."""
        return self.segmented.table

    @property
    def names(self) -> list[str]:
        """The cases' examples."""
        return [self.table.example_id[i] for i in self.rows]

    def mask_of(self, source: Source, place: int) -> UInt8[np.ndarray, "h w"]:
        """The true mask of an example, 1 where any structure is."""
        record = source.records[int(place)]
        mask = np.asarray(record[source.declared.of_role("mask")[0]])
        return (mask[..., 0] > 0).astype(np.uint8)

    def counts(self) -> dict[str, Any]:
        """How many cases there are, and on how many nothing was found, by class."""
        missed = np.array([name in self.nothing for name in self.names])
        has = np.array(
            [self.mask_of(self.segmented, i).any() for i in self.rows.tolist()]
        )
        by_class = {
            name: {
                "cases": int((self.labels[:, k] == 1).sum()),
                "nothing_found": int((missed & (self.labels[:, k] == 1)).sum()),
            }
            for k, name in enumerate(self.classes)
        }
        return {
            "cases": len(self.rows),
            "nothing_found": int(missed.sum()),
            "nothing_found_though_outlined": int((missed & has).sum()),
            "found_though_nothing_outlined": int((~missed & ~has).sum()),
            "classes": by_class,
        }


def open_cases(
    segmenter: Segmenter, asked: Asked, where: Settings, say: Callable[[str], None]
) -> Cases:
    """The cases of a segmentation's dataset.

    Args:
        segmenter: whose masks are taken.
        asked: which classes, and the size of the pictures.
        where: `config.data` of the segmenter with today's folders.
        say: told where a dataset is built.

    Raises:
        SplitError: the dataset is no longer the one that the segmentation split.
        StagesError: its pictures cannot be cut, nothing was found and that is to be
            refused, or a class is none of its.
    """
    segmented = open_dataset(where, say)
    segmenter.manifest.check(segmented.table)
    _check_pictures(segmented)
    pictures = segmented
    side = segmented.spec[segmented.pixels].batch_shape(segmented.pixels)[0]
    if asked.pixels not in (0, side):
        pictures = _of_size(where, asked.pixels, say)
    rows, classes, labels = _of_classes(segmented.table, asked.classes)
    names = [segmented.table.example_id[i] for i in rows]
    place = {name: i for i, name in enumerate(pictures.table.example_id)}
    if strange := [name for name in names if name not in place]:
        raise StagesError(f"{pictures.name} has no example {strange[0]!r}")
    nothing = frozenset(n for n in names if not segmenter.mask(n).any())
    if asked.nothing == REFUSE and nothing:
        raise StagesError(
            f"nothing was found on {len(nothing)} of {len(names)} pictures, such as "
            f"{min(nothing)!r}; --nothing whole takes the whole picture, skip leaves "
            "them out and counts them"
        )
    return Cases(segmenter, segmented, pictures, rows, place, classes, labels, nothing)


def write_cases(cases: Cases, folder: Path) -> int:
    """Writes pictures, true and found masks, and the table; returns the pictures' side.

    What is there is not written again: the table comes last.
    """
    pictures, table = cases.pictures, cases.table
    side = pictures.spec[pictures.pixels].batch_shape(pictures.pixels)[0]
    if (folder / files.ABOUT).is_file():
        return side
    with Progress(len(cases.rows), "pictures and masks") as progress:
        for name in cases.names:
            place = cases.place[name]
            picture = np.asarray(pictures.records[place][pictures.pixels])[..., 0]
            truth = cases.mask_of(pictures, place)
            _write(folder / files.PICTURES / files.file_of(name), picture)
            _write(folder / files.TRUTH / files.file_of(name), 255 * truth)
            progress.advance()
    write_found(cases, folder, files.found_folder(-1), cases.segmenter.mask)
    header = [*files.IDS, *(f"{files.LABEL}{name}" for name in cases.classes)]
    rows = [
        [table.example_id[i], table.video_id[i], table.patient_id[i], *labels]
        for i, labels in zip(cases.rows, cases.labels.tolist(), strict=True)
    ]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    write_whole(folder / files.TABLE, out.getvalue())
    about = {
        "dataset": pictures.name,
        "classes": list(cases.classes),
        "units": list(cases.segmented.spec.units),
        "patient": cases.segmented.patient,
    }
    write_whole(folder / files.ABOUT, json.dumps(about, indent=1) + "\n")
    return side


def write_found(cases: Cases, folder: Path, name: str, mask: Mask) -> None:
    """Writes the found mask of every case into a folder, at the pictures' size."""
    pictures = cases.pictures
    side = pictures.spec[pictures.pixels].batch_shape(pictures.pixels)[0]
    for example in cases.names:
        marked = (mask(example) > 0).astype(np.uint8)
        large = scaled_mask(marked, side, side)
        _write(folder / name / files.file_of(example), 255 * large)


def same_folds(cases: Cases, table: ExampleTable) -> Manifest:
    """The segmentation's folds, of the regions that are there.

    Raises:
        SplitError: a fold has none, or examples of equal pixels are in two.
    """
    there = {*table.example_id}
    owner = dict(zip(table.example_id, table.patient_id, strict=True))
    parts = {}
    for name, part in cases.segmenter.manifest.parts.items():
        examples = tuple(one for one in part.examples if one in there)
        patients = tuple(sorted({owner[one] for one in examples}))
        parts[name] = Part(patients, examples)
    manifest = Manifest(table.dataset, table.data_hash, None, table.classes, parts)
    manifest.check(table)
    return manifest


def _check_pictures(source: Source) -> None:
    field_of = source.spec[source.pixels]
    shape = field_of.batch_shape(source.pixels)
    square = len(shape) == 3 and shape[0] == shape[1] and shape[2] == 1
    if not square or field_of.dtype != "uint8" or not source.spec.of_role("mask"):
        raise StagesError(
            f"{source.name} has {source.pixels} of {field_of.dtype} {shape}; regions "
            "are cut from grey squares of 8 bits with masks"
        )


def _of_size(where: Settings, pixels: int, say: Callable[[str], None]) -> Source:
    """The same dataset with pictures of another size."""
    whole = sources.builder_options(where.name, where.options.to_dict(), where.data_dir)
    if SIZE not in whole:
        raise StagesError(
            f"--pixels {pixels}: {where.name} has no option {SIZE}; its options are "
            f"{', '.join(whole)}"
        )
    changed = where.copy_and_resolve_references()
    with changed.options.unlocked():
        changed.options[SIZE] = pixels
    return open_dataset(changed, say)


def _of_classes(
    table: ExampleTable, asked: Sequence[str]
) -> tuple[Int[np.ndarray, " n"], tuple[str, ...], Int8[np.ndarray, "n k"]]:
    """The rows that have one of the classes alone, all without any; their labels."""
    if not asked:
        return np.arange(len(table.example_id)), table.classes, table.labels
    for name, times in Counter(asked).items():
        if name not in table.classes or times > 1:
            raise StagesError(
                f"--classes {name}: is no class of {table.dataset}, or given twice; "
                f"its classes are {', '.join(table.classes)}"
            )
    columns = [table.classes.index(name) for name in asked]
    rows = np.flatnonzero((table.labels[:, columns] == 1).sum(axis=1) == 1)
    return rows, tuple(asked), table.labels[np.ix_(rows, np.array(columns))]


def _write(path: Path, picture: UInt8[np.ndarray, "h w"]) -> None:
    write_whole(path, cv2.imencode(".png", picture)[1].tobytes())
