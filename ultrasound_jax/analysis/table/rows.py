"""What rows of any predictions table have in common: whose they are, and the file."""

import copy
import csv
import io
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table import units as words
from ultrasound_jax.analysis.table.sheet import ID_FIELDS, id_columns
from ultrasound_jax.analysis.table.spelling import check_spelling, tidy
from ultrasound_jax.runs.files import write_whole

MACRO = "macro"  # what the mean over classes is called in tables
T = TypeVar("T", bound="Rows")


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows(ABC):
    """The ids of examples, and where in the folds' splits they are.

    Ids are kept without blanks around them and in Unicode's NFC (see `spelling`).

    video_id: of the group that an example belongs to; in the file the column is called
        by the group's unit (`video_id`, `image_id`, `lesion_id`, `volume_id`).
    split: of which part of the fold's split an example is: `train`, `validation`,
        `test`, or `out_of_fold` for pooled cross-validation.
    extra: further columns of text that examples can be grouped by (zone, probe, site,
        sex, age band); empty cells are unknown.
    units: what an example and its group are called. The file keeps the group's alone:
        a group `x` that `units.OF_GROUP` lacks is read back as `("example", x)`.

    Raises:
        AnalysisError: columns of different lengths, an empty id, ids that differ only
            in blanks or case, an example twice in one split of one fold, a class called
            `macro`, a further column whose name is taken, or units that are no words.
    """

    # Columns of content, by which a file tells what kind of table it is.
    PREFIXES: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[Any]

    example_id: tuple[str, ...] = field(repr=False)
    video_id: tuple[str, ...] = field(repr=False)
    patient_id: tuple[str, ...] = field(repr=False)
    fold: Int[np.ndarray, " n"] = field(repr=False)
    split: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    units: tuple[str, str] = words.CLIPS

    def __post_init__(self) -> None:
        words.check(self.units)
        _check_classes(self.classes)
        for name in ID_FIELDS:
            if len(getattr(self, name)) != len(self):
                raise AnalysisError(
                    f"{len(getattr(self, name))} {name}s, {len(self)} rows"
                )
        self._check_content()
        self._check_ids()
        self._check_extra()

    @abstractmethod
    def _check_content(self) -> None:
        """Refuses content that is not allowed."""

    @abstractmethod
    def _content_header(self) -> list[str]:
        """The names of the columns between the ids and the further ones."""

    @abstractmethod
    def _content_cells(self, row: int) -> list[Any]:
        """A row's cells under `_content_header`."""

    @abstractmethod
    def _content_at(self, places: Int[np.ndarray, " m"]) -> dict[str, Any]:
        """The fields of content, of some rows."""

    @abstractmethod
    def _content_with(self, others: Sequence[Any]) -> dict[str, Any]:
        """The fields of content of these rows and then of others."""

    def _check_ids(self) -> None:
        columns = id_columns(self.units)
        for name, column in zip(ID_FIELDS[:3], columns, strict=False):
            ids = tuple(map(tidy, getattr(self, name)))
            object.__setattr__(self, name, ids)
            if not all(ids):
                raise AnalysisError(f"a row has no {column}; every row needs one")
            check_spelling(ids, column)
        keys = list(zip(self.example_id, self.fold.tolist(), self.split, strict=True))
        if len(set(keys)) < len(keys):
            example, fold, split = Counter(keys).most_common(1)[0][0]
            raise AnalysisError(
                f"example {example!r} occurs twice in split {split} of fold {fold}"
            )

    def _check_extra(self) -> None:
        taken = self._taken()
        for name, column in self.extra.items():
            if not name or name in taken or name.startswith(self.PREFIXES):
                raise AnalysisError(
                    f"a further column cannot be called {name!r}: that is the name of "
                    "an id or of what the table is about, or empty"
                )
            if len(column) != len(self):
                raise AnalysisError(f"{len(column)} cells of {name}, {len(self)} rows")

    def _taken(self) -> set[str]:
        """What a further column cannot be called."""
        return {*id_columns(self.units), *ID_FIELDS, *self._content_header()}

    def __len__(self) -> int:
        return len(self.example_id)

    def rows(self: T, chosen: Bool[np.ndarray, " n"] | Int[np.ndarray, " m"]) -> T:
        """Some rows, by mask or by place; none twice."""
        places = np.arange(len(self))[chosen]
        if len(np.unique(places)) < len(places):
            raise AnalysisError("a row that is chosen twice occurs twice")
        spots = places.tolist()

        def some(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple([column[i] for i in spots])

        # Rows of a table that has been checked need no check of their own.
        found = copy.copy(self)
        content = self._content_at(places) | {
            "example_id": some(self.example_id),
            "video_id": some(self.video_id),
            "patient_id": some(self.patient_id),
            "split": some(self.split),
            "fold": self.fold[places],
            "extra": {name: some(column) for name, column in self.extra.items()},
        }
        for name, value in content.items():
            object.__setattr__(found, name, value)
        return found

    def of_split(self: T, split: str) -> T:
        """The rows of one split; raises AnalysisError where there are none."""
        chosen = np.array([s == split for s in self.split], bool)
        if not chosen.any():
            there = ", ".join(sorted(set(self.split))) or "none"
            raise AnalysisError(
                f"no predictions of split '{split}'; there are: {there}"
            )
        return self.rows(chosen)

    def patient_index(self) -> Int[np.ndarray, " n"]:
        """Each row's patient as a number from 0."""
        number = {name: i for i, name in enumerate(sorted(set(self.patient_id)))}
        return np.array([number[name] for name in self.patient_id], np.intp)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes csv, whole or not at all; numbers are read back exactly.

        Further columns follow those that the table is about.
        """
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        header = [*id_columns(self.units), *self._content_header(), *self.extra]
        table.writerow(header)
        for i in range(len(self)):
            ids = (self.example_id[i], self.video_id[i], self.patient_id[i])
            row = [*ids, int(self.fold[i]), self.split[i], *self._content_cells(i)]
            table.writerow([*row, *(column[i] for column in self.extra.values())])
        write_whole(path, out.getvalue().encode())

    def _joined(self: T, others: Sequence[T]) -> T:
        """These rows and then all others, which have the same classes and units."""
        tables = [self, *others]
        names = dict.fromkeys(name for table in tables for name in table.extra)
        return replace(
            self,
            example_id=tuple(i for t in tables for i in t.example_id),
            video_id=tuple(i for t in tables for i in t.video_id),
            patient_id=tuple(i for t in tables for i in t.patient_id),
            fold=np.concatenate([t.fold for t in tables]),
            split=tuple(s for t in tables for s in t.split),
            extra={
                name: tuple(
                    cell for t in tables for cell in t.extra.get(name, ("",) * len(t))
                )
                for name in names
            },
            **self._content_with(others),
        )


def _check_classes(classes: Sequence[str]) -> None:
    for name in classes:
        if tidy(name) != name or not name or name == MACRO:
            raise AnalysisError(
                f"a class cannot be called {name!r}: allowed are names without blanks "
                f"around them, in Unicode's NFC, other than {MACRO!r}, which is what "
                "the mean over the classes is called"
            )
        if list(classes).count(name) > 1:
            raise AnalysisError(f"class {name!r} is there twice; allowed is once")


def joined(tables: Sequence[T]) -> T:
    """The rows of all tables, one after the other.

    A further column that only some tables have is empty for the others.

    Raises:
        AnalysisError: no tables, another kind of table, other classes or units, or the
            same example twice in a split of a fold.
    """
    if not tables:
        raise AnalysisError("no predictions tables to join")
    first, *others = tables
    for table in others:
        if type(table) is not type(first):
            raise AnalysisError("a table of scores and one of masks cannot be joined")
        for what in ("classes", "units"):
            if getattr(table, what) != getattr(first, what):
                raise AnalysisError(
                    f"tables of other {what} cannot be joined: "
                    f"{', '.join(getattr(table, what))} and "
                    f"{', '.join(getattr(first, what))}"
                )
    return first._joined(others)
