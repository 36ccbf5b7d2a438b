"""Readers' ratings: how sure each reader is of each finding, without and with help."""

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.readers import ID_NAMES, Sheet, named_path


@dataclass(frozen=True, eq=False)
class Ratings:
    """The ratings of all readers, in the order of the judged examples.

    without, aided: NaN where somebody did not rate; `aided` is None where nobody was
    helped.
    """

    readers: tuple[str, ...]
    without: Float[np.ndarray, "r n k"] = field(repr=False)
    aided: Float[np.ndarray, "r n k"] | None = field(repr=False)


def read_ratings(path: str | os.PathLike[str], classes: Sequence[str]) -> Sheet:
    """Reads a table with `example_id` or `clip_id` and `rating_<class>` columns.

    A rating is any number, the higher the surer that the finding is present (1 to 5, 0
    to 100, a probability); an empty cell is none. `NAME=PATH` names the reader.

    Raises:
        AnalysisError: it cannot be read, lacks a column, has an example twice, or
            another cell, with the file and the line.
    """
    name, place = named_path(path)
    try:
        with Path(place).open(newline="", encoding="utf-8-sig") as lines:
            return _parse(csv.DictReader(lines), name, tuple(classes))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnalysisError(f"{place}: cannot be read: {error}") from error
    except AnalysisError as error:
        raise AnalysisError(f"{place}: {error}") from error


def _parse(table: "csv.DictReader[str]", name: str, classes: tuple[str, ...]) -> Sheet:
    header = table.fieldnames or []
    key = next((one for one in ID_NAMES if one in header), None)
    wanted = [f"rating_{one}" for one in classes]
    missing = [one for one in wanted if one not in header]
    if key is None:
        missing.insert(0, " or ".join(ID_NAMES))
    if key is None or missing:
        raise AnalysisError(f"missing columns: {', '.join(missing)}")
    found: dict[str, tuple[float, ...]] = {}
    for row in table:
        where, example = f"line {table.line_num}", row[key] or ""
        if not example or example in found:
            what = "occurs twice" if example else "is empty"
            raise AnalysisError(f"{where}: {key} '{example}' {what}")
        found[example] = tuple(_rating(row[c], where, c) for c in wanted)
    return Sheet(name, classes, found)


def _rating(cell: str | None, where: str, column: str) -> float:
    text = (cell or "").strip()
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AnalysisError(f"{where}: {column} is '{text}', not a number or empty")
    return value


def same_readers(without: Sequence[Sheet], aided: Sequence[Sheet]) -> list[Sheet]:
    """The sheets with help in the order of those without; none where nobody was helped.

    Raises:
        AnalysisError: a name twice, or readers of one list that the other lacks.
    """
    for sheets in (without, aided):
        names = [sheet.name for sheet in sheets]
        for name in names:
            if names.count(name) > 1:
                raise AnalysisError(
                    f"two sheets of ratings are named '{name}'; NAME=PATH renames one"
                )
    if not aided:
        return []
    of = {sheet.name: sheet for sheet in aided}
    lone = sorted({sheet.name for sheet in without} ^ set(of))
    if lone:
        raise AnalysisError(
            f"reader '{lone[0]}' has ratings either without or with help only; each "
            "reader needs a sheet in --ratings and one of the same name in "
            "--ratings-aided (NAME=PATH names it)"
        )
    return [of[sheet.name] for sheet in without]


def ratings_of(
    without: Sequence[Sheet], aided: Sequence[Sheet], examples: Sequence[str]
) -> Ratings:
    """What the sheets say of these examples, which all of them have.

    Raises:
        AnalysisError: see `same_readers`, or fewer than two readers.
    """
    paired = same_readers(without, aided)
    if len(without) < 2:
        raise AnalysisError(
            f"{len(without)} sheets of ratings; a study of readers needs two or more"
        )
    return Ratings(
        tuple(sheet.name for sheet in without),
        _stacked(without, examples),
        _stacked(paired, examples) if paired else None,
    )


def _stacked(sheets: Sequence[Sheet], examples: Sequence[str]) -> np.ndarray:
    return np.array([[sheet.labels[e] for e in examples] for sheet in sheets], float)


def mean_of(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores of each network, and their mean where they are several."""
    if len(scores) < 2:
        return dict(scores)
    mean = np.mean(list(scores.values()), axis=0)
    return {**scores, f"mean of {len(scores)} networks": mean}
