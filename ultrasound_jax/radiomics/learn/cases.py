"""The examples of a built dataset that have a mask, and what is to be told of them."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int8

from ultrasound_jax.data import source as sources
from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.source import Source
from ultrasound_jax.radiomics.errors import RadiomicsError

UNKNOWN = "unknown"  # a class of PU2756's `label6` that says nothing
FOLD = "fold"  # the feature of a record that says its published fold, from 1


@dataclass(frozen=True, eq=False)
class Cases:
    """Images with masks of one of several classes each.

    table: of the examples, with one label 1 each.
    places: of the examples in the dataset.
    folds: the published fold of each, 0 if it has none; None if the set has no folds.
    left_out: reason -> how many examples of the dataset.
    """

    source: Source
    table: ExampleTable
    places: Int[np.ndarray, " n"]
    folds: Int[np.ndarray, " n"] | None
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places)

    def load(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The image `h w` and the mask `h w` of an example."""
        record = self.source.records[int(self.places[row])]
        image = np.asarray(record[self.source.pixels])
        mask = np.asarray(record[self.source.spec.of_role("mask")[0]])
        return image[..., 0], mask[..., 0]

    @property
    def truth(self) -> Int[np.ndarray, " n"]:
        """The place of each example's class."""
        return self.table.labels.argmax(axis=1)

    def rows(self, chosen: Bool[np.ndarray, " n"], why: Mapping[str, int]) -> "Cases":
        """Some of the examples; `why` counts those that are left out."""
        kept = np.flatnonzero(chosen)
        return replace(
            self,
            table=part_of(self.table, kept, self.table.labels[kept]),
            places=self.places[kept],
            folds=None if self.folds is None else self.folds[kept],
            left_out=dict(Counter(self.left_out) + Counter(why)),
        )


def open_cases(
    name: str,
    *,
    options: Mapping[str, Any],
    data_dir: str = "",
    manual_dir: str = "",
    target: str = "labels",
    classes: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Cases:
    """The cases of a dataset, which is built if it is missing.

    Args:
        name: of the dataset.
        options: of its builder.
        data_dir: of built datasets.
        manual_dir: with the files that it is built from.
        target: `labels`, or a feature of its records that names a class.
        classes: to tell apart, in this order; by default those that occur.
        say: told where the dataset is built.

    Raises:
        RadiomicsError: the dataset has no masks, several pixels a place, or no such
            target or class, or fewer than two classes.
    """
    sources.prepare(
        name,
        options=options,
        data_dir=data_dir,
        manual_dir=manual_dir,
        say=say,
        flag="--manual_dir",
    )
    source = sources.open_source(name, options=options, data_dir=data_dir)
    _check_fields(source)
    features = sources.open_builder(name, options, data_dir).info.features
    if target == "labels":
        names, truth = source.classes, _only_label(source.table.labels)
    else:
        names, truth = _named_class(source, features, target)
    asked = tuple(classes) or tuple(
        word for k, word in enumerate(names) if word != UNKNOWN and (truth == k).any()
    )
    _check_classes(asked, names, source.name)
    order = np.array([asked.index(w) if w in asked else -1 for w in names] + [-1])
    wanted = order[truth]  # a truth of -1 takes the last
    kept = np.flatnonzero(wanted >= 0)
    if empty := [w for k, w in enumerate(asked) if not (wanted == k).any()]:
        raise RadiomicsError(f"{source.name} has no example of class {empty[0]!r}")
    labels = np.eye(len(asked), dtype=np.int8)[wanted[kept]]
    folds = None
    if FOLD in features:
        folds = np.array([int(source.records[int(i)][FOLD]) for i in kept], np.intp)
    others = len(truth) - len(kept)
    return Cases(
        source,
        part_of(source.table, kept, labels, asked),
        kept,
        folds,
        {"another class, or none": others} if others else {},
    )


def part_of(
    table: ExampleTable,
    rows: Int[np.ndarray, " m"],
    labels: Int8[np.ndarray, "m k"],
    classes: Sequence[str] | None = None,
) -> ExampleTable:
    """Some rows of a table with labels of their own, and a hash that says so."""
    classes = table.classes if classes is None else tuple(classes)
    spots = rows.tolist()

    def some(column: tuple[str, ...]) -> tuple[str, ...]:
        return tuple([column[i] for i in spots]) if column else ()

    names = some(table.example_id)
    data_hash = table.data_hash
    whole = len(rows) == len(table.example_id) and classes == table.classes
    if not whole or not np.array_equal(labels, table.labels[rows]):
        told = json.dumps([data_hash, classes, names, labels.tolist()])
        data_hash = hashlib.sha256(told.encode()).hexdigest()
    return replace(
        table,
        example_id=names,
        video_id=some(table.video_id),
        patient_id=some(table.patient_id),
        labels=labels,
        classes=classes,
        data_hash=data_hash,
        study_id=some(table.study_id),
        pixel_hash=some(table.pixel_hash),
        groups={name: some(column) for name, column in table.groups.items()},
    )


def _check_fields(source: Source) -> None:
    masks = source.spec.of_role("mask")
    pixels = source.spec[source.pixels]
    if len(masks) != 1:
        raise RadiomicsError(
            f"{source.name} has {len(masks)} masks an example; features are measured "
            "on one"
        )
    if pixels.padded or len(pixels.shape) != 3 or pixels.shape[-1] != 1:
        raise RadiomicsError(
            f"{source.name} has {source.pixels} of {pixels.shape}; features are "
            "measured on grey images h w 1"
        )


def _only_label(labels: Int8[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """The place of the only label 1 of each row, -1 where there is none or several."""
    one = (labels == 1).sum(axis=1) == 1
    return np.where(one, (labels == 1).argmax(axis=1), -1)


def _named_class(
    source: Source, features: Any, target: str
) -> tuple[tuple[str, ...], Int[np.ndarray, " n"]]:
    known = [name for name in features if hasattr(features[name], "int2str")]
    if target not in known:
        raise RadiomicsError(
            f"target {target!r} is no class of {source.name}'s records; there are: "
            f"{', '.join(['labels', *known])}"
        )
    found = [int(source.records[i][target]) for i in range(len(source))]
    return tuple(features[target].names), np.array(found, np.intp)


def _check_classes(asked: Sequence[str], names: Sequence[str], dataset: str) -> None:
    for word in asked:
        if word not in names or asked.count(word) > 1:
            raise RadiomicsError(
                f"{word!r} is no class of {dataset}, or is given twice; its classes "
                f"are {', '.join(names)}"
            )
    if len(asked) < 2:
        raise RadiomicsError(
            f"one class ({', '.join(asked)}): there is nothing to tell apart; the "
            f"classes of {dataset} are {', '.join(names) or 'none'}"
        )
