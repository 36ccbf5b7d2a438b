"""The predictions table: one row an example, with its labels and scores (waist 2)."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.rows import Rows, joined
from ultrasound_jax.analysis.table.sheet import MOST_FRAMES, Sheet, number, read_sheet

__all__ = ["Predictions", "joined"]
FRAMES = "frames"  # the column of how many frames an example has
MULTILABEL, MULTICLASS = "multilabel", "multiclass"
_LABELS = {"1": 1.0, "0": 0.0, "": np.nan}  # as they are written
_SLACK = 1e-4  # float32 softmax of many classes, written and read


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions(Rows):
    """Labels and scores of examples, and whose they are.

    labels: 1 present, 0 absent, NaN not annotated.
    scores: probabilities.
    frames: of each example, by which the mean of a group weighs it; None where the
        table does not say (images, older tables), and then all weigh the same.

    Raises:
        AnalysisError: another label, a score that is not in [0, 1], an example of no
            frames, or see `Rows`.
    """

    PREFIXES: ClassVar[tuple[str, ...]] = ("label_", "score_")

    labels: Float[np.ndarray, "n k"] = field(repr=False)
    scores: Float[np.ndarray, "n k"] = field(repr=False)
    frames: Int[np.ndarray, " n"] | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """`multiclass` where exactly one of several classes is true, else `multilabel`.

        That is: every row that is annotated is so in all classes and has one label 1,
        and all scores add up to 1. It is told by the rows so that a file needs no
        further column. It cannot mistake:
        a softmax always adds up to 1, and independent probabilities of all examples do
        so only where they say the same as a softmax would. What ranks (AUROC, average
        precision) or compares a score with its label (calibration) is the same for both
        kinds; only decisions differ, by the highest score or by thresholds.
        """
        known = ~np.isnan(self.labels)
        if len(self.classes) < 2 or not known.any():
            return MULTILABEL
        there = known.any(axis=1)
        one = known[there].all() and (self.labels[there].sum(axis=1) == 1).all()
        whole = (np.abs(self.scores.sum(axis=1) - 1) <= _SLACK).all()
        return MULTICLASS if one and whole else MULTILABEL

    def _check_content(self) -> None:
        # float32 scores would be compared with thresholds after rounding these.
        object.__setattr__(self, "labels", np.asarray(self.labels, np.float64))
        object.__setattr__(self, "scores", np.asarray(self.scores, np.float64))
        wanted = (len(self), len(self.classes))
        for name in ("labels", "scores"):
            shape = getattr(self, name).shape
            if shape != wanted:
                raise AnalysisError(f"{name} are {shape}, not {wanted}")
        known = self.labels[~np.isnan(self.labels)]
        if not np.isin(known, (0.0, 1.0)).all():
            raise AnalysisError("labels must be 1, 0 or unknown")
        wrong = np.argwhere(~((self.scores >= 0) & (self.scores <= 1)))
        if len(wrong):
            row, k = wrong[0]
            raise AnalysisError(
                f"score of {self.classes[k]} for example {self.example_id[row]!r} is "
                f"{self.scores[row, k]}; allowed are 0 to 1"
            )
        self._check_frames()

    def _check_frames(self) -> None:
        if self.frames is None:
            return
        frames = np.asarray(self.frames, np.int64)
        object.__setattr__(self, "frames", frames)
        if frames.shape != (len(self),):
            raise AnalysisError(f"frames of {len(frames)} examples, {len(self)} rows")
        if wrong := np.flatnonzero(frames < 1).tolist():
            raise AnalysisError(
                f"example {self.example_id[wrong[0]]!r} has {frames[wrong[0]]} frames; "
                "allowed are 1 and more"
            )

    def _content_header(self) -> list[str]:
        frames = [] if self.frames is None else [FRAMES]
        return [*_header(self.classes), *frames]

    def _taken(self) -> set[str]:
        # Also without frames: a further column of that name would be read as these.
        return {*super()._taken(), FRAMES}

    def _content_cells(self, row: int) -> list[Any]:
        labels = ["" if np.isnan(v) else int(v) for v in self.labels[row]]
        frames = [] if self.frames is None else [int(self.frames[row])]
        return [*labels, *(repr(float(v)) for v in self.scores[row]), *frames]

    def _content_at(self, places: Int[np.ndarray, " m"]) -> dict[str, Any]:
        return {
            "labels": self.labels[places],
            "scores": self.scores[places],
            "frames": None if self.frames is None else self.frames[places],
        }

    def _content_with(self, others: Sequence[Any]) -> dict[str, Any]:
        tables = (self, *others)
        frames = [t.frames for t in tables if t.frames is not None]
        if frames and len(frames) < len(tables):
            raise AnalysisError(
                f"of {len(tables)} tables {len(frames)} have a column {FRAMES}; "
                "allowed are all or none, as the mean of a group weighs by it"
            )
        return {
            "labels": np.concatenate([t.labels for t in tables]),
            "scores": np.concatenate([t.scores for t in tables]),
            "frames": np.concatenate(frames) if frames else None,
        }

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Predictions":
        """Reads csv; AnalysisError names the file, the line and the value.

        Columns behind the known ones are read as `extra`.
        """
        return cls.of_sheet(read_sheet(path), path)

    @classmethod
    def of_sheet(cls, sheet: Sheet, path: str | os.PathLike[str]) -> "Predictions":
        """Makes sense of the cells of a file; see `read`."""
        try:
            return _parse(sheet)
        except AnalysisError as error:
            raise AnalysisError(f"{Path(path)}: {error}") from error


def _header(classes: Sequence[str]) -> list[str]:
    labels = [f"label_{name}" for name in classes]
    return [*labels, *(f"score_{name}" for name in classes)]


def _parse(sheet: Sheet) -> Predictions:
    classes = tuple(
        c.removeprefix("label_") for c in sheet.header if c.startswith("label_")
    )
    if not classes:
        raise AnalysisError(f"missing columns: label_<class>{sheet.hint()}")
    further = sheet.check_begins_with(_header(classes))
    frames = None
    if FRAMES in further:
        further.remove(FRAMES)
        known = {c: _frames(c, at) for c, at in sheet.distinct(FRAMES)}
        frames = np.array([known[cell] for cell in sheet.column(FRAMES)], np.int64)
    shape = (len(sheet), len(classes))
    labels, scores = np.empty(shape), np.empty(shape)
    for k, name in enumerate(classes):
        labels[:, k] = _labels(sheet, name)
        scores[:, k] = _scores(sheet, name)
    return Predictions(
        **sheet.ids(further),
        classes=classes,
        labels=labels,
        scores=scores,
        frames=frames,
    )


def _labels(sheet: Sheet, name: str) -> list[float]:
    return [
        _LABELS[cell] if cell in _LABELS else _label(cell, sheet.where(i), name)
        for i, cell in enumerate(sheet.column(f"label_{name}"))
    ]


def _label(cell: str, where: str, name: str) -> float:
    value = number(cell, where, f"label_{name}", float)
    if value not in (0.0, 1.0):
        raise AnalysisError(f"{where}: label_{name} is '{cell}', not 1, 0 or empty")
    return value


def _scores(sheet: Sheet, name: str) -> Float[np.ndarray, " n"]:
    column = f"score_{name}"
    cells = sheet.column(column)
    try:
        values = np.array(list(map(float, cells)))
    except ValueError:
        found = [number(c, sheet.where(i), column, float) for i, c in enumerate(cells)]
        values = np.array(found)
    if wrong := np.flatnonzero(~((values >= 0) & (values <= 1))).tolist():
        cell = sheet.column(column)[wrong[0]]
        raise AnalysisError(
            f"{sheet.where(wrong[0])}: {column} is '{cell}', not within 0 and 1"
        )
    return values


def _frames(cell: str, where: str) -> int:
    value = number(cell, where, FRAMES, float)
    if not 1 <= value <= MOST_FRAMES or value != int(value):
        raise AnalysisError(
            f"{where}: {FRAMES} is '{cell}', not a whole number from 1 to {MOST_FRAMES}"
        )
    return int(value)
