"""What the analysis starts from: a run's folder, or a predictions table alone."""

import argparse
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.mask_table import AnyTable, read_table
from ultrasound_jax.runs.files import read_json

TABLE = "predictions.csv"


@dataclass(frozen=True, eq=False)
class Run:
    """A predictions table, how it is called, and the folder that it is from.

    folder: None where a table alone was given, which no `config.json` stands beside.
    """

    name: str
    predictions: AnyTable
    folder: Path | None

    def read_json(self, name: str) -> Any | None:
        """What a JSON file of the folder says, None if there is no such file.

        Raises:
            AnalysisError: it cannot be read.
        """
        path = self.folder / name if self.folder else None
        if path is None or not os.path.lexists(path):
            return None
        return read_json(path)


def open_run(path: str | os.PathLike[str]) -> Run:
    """Opens a run's folder or a predictions table; `NAME=PATH` gives it a name.

    The name is otherwise that of the folder (with its parent's, if it is one fold of a
    cross-validation), or of the file where it is not called `predictions.csv`.

    Raises:
        AnalysisError: nothing there, or no table in it.
    """
    name = _given_name(path)
    if name:
        return replace(open_run(str(path)[len(name) + 1 :]), name=name)
    place = Path(path)
    table = place / TABLE if place.is_dir() else place
    if not table.is_file():
        wanted = f"a run's folder with {TABLE}, or such a table"
        raise AnalysisError(f"{place}: no such run; allowed is {wanted}")
    whole = table.absolute().parent
    folder = whole if place.is_dir() or (whole / "config.json").is_file() else None
    name = _folder_name(whole) if table.name == TABLE else table.stem
    if table.name == TABLE and folder:
        _check_judged(table)
    return Run(name, read_table(table), folder)


def _check_judged(table: Path) -> None:
    """Refuses a run's table that is not the one that it was judged by.

    Names of columns that were exchanged give the same numbers under other names, and
    nothing in the table tells.

    Raises:
        AnalysisError: `metrics.json` beside it has the hash of another.
    """
    path = table.with_name("metrics.json")
    tree = read_json(path) if path.is_file() else {}
    about = tree.get("run") if isinstance(tree, dict) else None
    known = about.get("predictions_sha256") if isinstance(about, dict) else None
    if known and hashlib.sha256(table.read_bytes()).hexdigest() != known:
        raise AnalysisError(
            f"{table} is not the table that metrics.json beside it was computed from: "
            "judge the run again (--mode evaluate), or give a copy of the table alone "
            "if the change is meant"
        )


def open_runs(paths: Sequence[str | os.PathLike[str]]) -> list[Run]:
    """Opens several runs; names that are equal get more of their path.

    Raises:
        AnalysisError: see `open_run`; or the same path, or the same given name, twice.
    """
    runs = [open_run(path) for path in paths]
    names = [run.name for run in runs]
    for i, path in enumerate(paths):
        if names.count(names[i]) > 1 and not _given_name(path):
            parts = [p.parts for p in (_folder(other) for other in paths)]
            runs[i] = replace(runs[i], name=_shortest(parts[i], parts))
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise AnalysisError(f"run '{name}' is given twice")
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
    """The folder to write into, made if need be; AnalysisError names it."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be made: {error.strerror}") from error
    return Path(path)


def _given_name(path: str | os.PathLike[str]) -> str:
    """The NAME of `NAME=PATH`, empty where there is none."""
    name, equals, _ = str(path).partition("=")
    return name if equals and os.sep not in name and not Path(path).exists() else ""


def _folder(path: str | os.PathLike[str]) -> Path:
    """The absolute path that names a run: its folder, or a table's own."""
    name = _given_name(path)
    place = Path(str(path)[len(name) + 1 :] if name else path).absolute()
    return place.parent if place.name == TABLE else place.with_suffix("")


def _shortest(parts: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """As much of the end of a path as no other path ends with."""
    for count in range(1, len(parts) + 1):
        ends = [tuple(other[-count:]) for other in others]
        if ends.count(tuple(parts[-count:])) == 1:
            return "/".join(parts[-count:])
    return "/".join(parts[-2:])


def _folder_name(folder: Path) -> str:
    if re.fullmatch(r"fold_\d+", folder.name):
        return f"{folder.parent.name}/{folder.name}"
    return folder.name or TABLE
