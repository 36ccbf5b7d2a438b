"""The predictions table: one row an example, with its labels and scores (waist 2)."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.runs.files import write_whole

ID_COLUMNS = ("example_id", "video_id", "patient_id", "fold", "split")
NEEDED = ID_COLUMNS[:3]  # never empty: who is unknown cannot be a patient of his own
MOST_FOLDS = 1_000_000


@dataclass(frozen=True, eq=False)
class Predictions:
    """Labels and scores of examples, and whose they are.

    labels: 1 present, 0 absent, NaN not annotated.
    scores: probabilities.
    split: of which part of the fold's split an example is: `train`, `validation`,
      `test`, or `out_of_fold` for pooled cross-validation.
    extra: further columns of text that examples can be grouped by (zone, probe, site,
      sex, age band); empty cells are unknown.

    Raises:
      AnalysisError: columns of different lengths, another label, a score that is not in
        [0, 1], an empty id, an example twice in one split of one fold, or a further
        column whose name is taken.
    """

    example_id: tuple[str, ...] = field(repr=False)
    video_id: tuple[str, ...] = field(repr=False)
    patient_id: tuple[str, ...] = field(repr=False)
    fold: Int[np.ndarray, " n"] = field(repr=False)
    split: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...]
    labels: Float[np.ndarray, "n k"] = field(repr=False)
    scores: Float[np.ndarray, "n k"] = field(repr=False)
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # float32 scores would be compared with thresholds after rounding these.
        object.__setattr__(self, "labels", np.asarray(self.labels, np.float64))
        object.__setattr__(self, "scores", np.asarray(self.scores, np.float64))
        count = len(self.example_id)
        for name in ID_COLUMNS:
            if len(getattr(self, name)) != count:
                raise AnalysisError(f"{len(getattr(self, name))} {name}s, {count} rows")
        for name in ("labels", "scores"):
            shape = getattr(self, name).shape
            if shape != (count, len(self.classes)):
                raise AnalysisError(
                    f"{name} are {shape}, not {(count, len(self.classes))}"
                )
        known = self.labels[~np.isnan(self.labels)]
        if not np.isin(known, (0.0, 1.0)).all():
            raise AnalysisError("labels must be 1, 0 or unknown")
        self._check_scores()
        self._check_ids()
        self._check_extra()

    def _check_scores(self) -> None:
        wrong = np.argwhere(~((self.scores >= 0) & (self.scores <= 1)))
        if len(wrong):
            row, k = wrong[0]
            raise AnalysisError(
                f"score of {self.classes[k]} for example {self.example_id[row]!r} is "
                f"{self.scores[row, k]}; allowed are 0 to 1"
            )

    def _check_ids(self) -> None:
        for name in NEEDED:
            if any(not one.strip() for one in getattr(self, name)):
                raise AnalysisError(f"a row has no {name}; every row needs one")
        seen: set[tuple[str, int, str]] = set()
        for example, fold, split in zip(
            self.example_id, self.fold.tolist(), self.split, strict=True
        ):
            if (example, fold, split) in seen:
                raise AnalysisError(
                    f"example {example!r} occurs twice in split {split} of fold {fold}"
                )
            seen.add((example, fold, split))

    def _check_extra(self) -> None:
        for name, column in self.extra.items():
            if not name or name in ID_COLUMNS or name.startswith(("label_", "score_")):
                raise AnalysisError(
                    f"a further column cannot be called {name!r}: that is the name of "
                    "an id, a label or a score, or empty"
                )
            if len(column) != len(self):
                raise AnalysisError(f"{len(column)} cells of {name}, {len(self)} rows")

    def __len__(self) -> int:
        return len(self.example_id)

    def rows(
        self, chosen: Bool[np.ndarray, " n"] | Int[np.ndarray, " m"]
    ) -> "Predictions":
        """Returns some rows, by mask or by place."""
        places = np.arange(len(self))[chosen]
        return replace(
            self,
            example_id=tuple(self.example_id[i] for i in places),
            video_id=tuple(self.video_id[i] for i in places),
            patient_id=tuple(self.patient_id[i] for i in places),
            split=tuple(self.split[i] for i in places),
            fold=self.fold[places],
            labels=self.labels[places],
            scores=self.scores[places],
            extra={
                name: tuple(column[i] for i in places)
                for name, column in self.extra.items()
            },
        )

    def of_split(self, split: str) -> "Predictions":
        """Returns the rows of one split; raises AnalysisError where there are none."""
        chosen = np.array([s == split for s in self.split], bool)
        if not chosen.any():
            there = ", ".join(sorted(set(self.split))) or "none"
            raise AnalysisError(
                f"no predictions of split '{split}'; there are: {there}"
            )
        return self.rows(chosen)

    def patient_index(self) -> Int[np.ndarray, " n"]:
        """Returns each row's patient as a number from 0."""
        return np.unique(np.array(self.patient_id, str), return_inverse=True)[1]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes csv, whole or not at all; scores are read back exactly.

        Further columns follow the scores.
        """
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow([*_header(self.classes), *self.extra])
        for i in range(len(self)):
            labels = ["" if np.isnan(v) else int(v) for v in self.labels[i]]
            scores = [repr(float(v)) for v in self.scores[i]]
            ids = (self.example_id[i], self.video_id[i], self.patient_id[i])
            row = [*ids, int(self.fold[i]), self.split[i], *labels, *scores]
            table.writerow([*row, *(column[i] for column in self.extra.values())])
        write_whole(path, out.getvalue().encode())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Predictions":
        """Reads csv; AnalysisError names the file, the line and the value.

        Columns behind the known ones are read as `extra`.
        """
        path = Path(path)
        try:
            with path.open(newline="", encoding="utf-8-sig") as lines:  # Excel's mark
                return _parse(lines)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise AnalysisError(f"{path}: cannot be read: {error}") from error
        except AnalysisError as error:
            raise AnalysisError(f"{path}: {error}") from error


def joined(tables: Sequence[Predictions]) -> Predictions:
    """Returns the rows of all tables, one after the other.

    A further column that only some tables have is empty for the others.

    Raises:
      AnalysisError: no tables, other classes, or the same example twice in a split of a
        fold.
    """
    if not tables:
        raise AnalysisError("no predictions tables to join")
    for table in tables[1:]:
        if table.classes != tables[0].classes:
            raise AnalysisError(
                f"tables of other classes cannot be joined: {', '.join(table.classes)} "
                f"and {', '.join(tables[0].classes)}"
            )
    names = dict.fromkeys(name for table in tables for name in table.extra)
    return Predictions(
        example_id=tuple(i for t in tables for i in t.example_id),
        video_id=tuple(i for t in tables for i in t.video_id),
        patient_id=tuple(i for t in tables for i in t.patient_id),
        fold=np.concatenate([t.fold for t in tables]),
        split=tuple(s for t in tables for s in t.split),
        classes=tables[0].classes,
        labels=np.concatenate([t.labels for t in tables]),
        scores=np.concatenate([t.scores for t in tables]),
        extra={
            name: tuple(
                cell for t in tables for cell in t.extra.get(name, ("",) * len(t))
            )
            for name in names
        },
    )


def _header(classes: Sequence[str]) -> list[str]:
    labels = [f"label_{name}" for name in classes]
    return [*ID_COLUMNS, *labels, *(f"score_{name}" for name in classes)]


def _parse(lines: Iterable[str]) -> Predictions:
    table = csv.reader(lines)
    header = next(table, [])
    classes = tuple(c.removeprefix("label_") for c in header if c.startswith("label_"))
    expected = _header(classes)
    missing = [c for c in expected if c not in header]
    if missing or not classes:
        raise AnalysisError(f"missing columns: {', '.join(missing) or 'label_<class>'}")
    further = header[len(expected) :]
    if header[: len(expected)] != expected:
        raise AnalysisError(
            f"columns must begin with exactly {','.join(expected)}, further ones follow"
        )
    twice = [c for k, c in enumerate(header) if c in header[:k]]
    if twice:
        raise AnalysisError(f"column '{twice[0]}' occurs twice")
    ids: list[list[str]] = []
    extra: dict[str, list[str]] = {name: [] for name in further}
    folds, labels, scores = [], [], []
    for row in table:
        where = f"line {table.line_num}"
        if not row:
            continue
        if len(row) != len(header):
            raise AnalysisError(f"{where}: {len(row)} cells, not {len(header)}")
        cells = dict(zip(header, row, strict=True))
        for name in NEEDED:
            if not cells[name].strip():
                raise AnalysisError(f"{where}: {name} is empty; every row needs one")
        ids.append(row[:5])
        folds.append(_fold(cells["fold"], where))
        labels.append([_label(cells[f"label_{c}"], where, c) for c in classes])
        scores.append([_score(cells[f"score_{c}"], where, c) for c in classes])
        for name, column in extra.items():
            column.append(cells[name])
    columns = list(zip(*ids, strict=True)) or [()] * 5
    return Predictions(
        example_id=columns[0],
        video_id=columns[1],
        patient_id=columns[2],
        fold=np.array(folds, np.int64),
        split=columns[4],
        classes=classes,
        labels=np.array(labels, float).reshape(len(ids), len(classes)),
        scores=np.array(scores, float).reshape(len(ids), len(classes)),
        extra={name: tuple(column) for name, column in extra.items()},
    )


def _number(cell: str, where: str, column: str, kind: type) -> float | int:
    try:
        return kind(cell)
    except ValueError as error:
        raise AnalysisError(f"{where}: {column} is '{cell}', not a number") from error


def _fold(cell: str, where: str) -> float | int:
    value = _number(cell, where, "fold", int)
    if not abs(value) <= MOST_FOLDS:
        raise AnalysisError(f"{where}: fold is '{cell}', not within {MOST_FOLDS}")
    return value


def _label(cell: str, where: str, name: str) -> float:
    value = _number(cell, where, f"label_{name}", float) if cell else np.nan
    if cell and value not in (0.0, 1.0):
        raise AnalysisError(f"{where}: label_{name} is '{cell}', not 1, 0 or empty")
    return value


def _score(cell: str, where: str, name: str) -> float:
    value = _number(cell, where, f"score_{name}", float)
    if not 0 <= value <= 1:
        raise AnalysisError(f"{where}: score_{name} is '{cell}', not within 0 and 1")
    return value
