"""What the analysis starts from: a run's folder, or a predictions table alone."""

import argparse
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.predictions import Predictions

TABLE = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Run:
    """A predictions table, how it is called, and the folder that it is from.

    folder: None where a table alone was given, which no `config.json` stands beside.
    """

    name: str
    predictions: Predictions
    folder: Path | None

    def read_json(self, name: str) -> Any | None:
        """Returns what a JSON file of the folder says, None if there is no such file.

        Raises:
          AnalysisError: it cannot be read.
        """
        path = self.folder / name if self.folder else None
        if path is None or not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise AnalysisError(f"{path}: cannot be read: {error}") from error


def open_run(path: str | os.PathLike[str]) -> Run:
    """Opens a run's folder or a predictions table; `NAME=PATH` gives it a name.

    The name is otherwise that of the folder (with its parent's, if it is one fold of a
    cross-validation), or of the file where it is not called `predictions.csv`.

    Raises:
      AnalysisError: nothing there, or no table in it.
    """
    name, equals, rest = str(path).partition("=")
    if equals and name and os.sep not in name and not Path(path).exists():
        return replace(open_run(rest), name=name)
    place = Path(path)
    table = place / TABLE if place.is_dir() else place
    if not table.is_file():
        wanted = f"a run's folder with {TABLE}, or such a table"
        raise AnalysisError(f"{place}: no such run; allowed is {wanted}")
    whole = table.absolute().parent
    folder = whole if place.is_dir() or (whole / "config.json").is_file() else None
    name = _folder_name(whole) if table.name == TABLE else table.stem
    return Run(name, Predictions.read(table), folder)


def open_runs(paths: Sequence[str | os.PathLike[str]]) -> list[Run]:
    """Opens several runs; names that are equal get more of their path.

    Raises:
      AnalysisError: see `open_run`; or the same path, or the same given name, twice.
    """
    runs = [open_run(path) for path in paths]
    names = [run.name for run in runs]
    for i, run in enumerate(runs):
        if names.count(run.name) > 1:
            if "=" in str(paths[i]) and not Path(paths[i]).exists():
                raise AnalysisError(f"two runs are named '{run.name}'")
            place = Path(paths[i]).absolute()
            place = place.parent if place.name == TABLE else place
            runs[i] = replace(run, name="/".join(place.parts[-3:]).lstrip("/"))
    if len({run.name for run in runs}) < len(runs):
        twice = next(r.name for r in runs if [s.name for s in runs].count(r.name) > 1)
        raise AnalysisError(f"run '{twice}' is given twice")
    return runs


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what every verb takes: `RUN [RUN…] --out DIR`, as `runs` and `out`."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a run's folder or its predictions.csv; NAME=PATH names it in the tables",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write into"
    )


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Returns the folder to write into, made if need be; AnalysisError names it."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be made: {error.strerror}") from error
    return Path(path)


def _folder_name(folder: Path) -> str:
    if re.fullmatch(r"fold_\d+", folder.name):
        return f"{folder.parent.name}/{folder.name}"
    return folder.name or TABLE
