"""The manifest: which patient and which example is in which part of a split."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ultrasound_jax.data.examples import ExampleTable, SplitError, some
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.json_text import strictly_parsed
from ultrasound_jax.types import UNKNOWN

VERSION = 1
TEST = "test"
_KEYS = (
    *("version", "dataset", "built", "data_hash", "seed", "classes", "parts"),
    "counts",
)


def fold_name(fold: int) -> str:
    """The name of a fold's part."""
    return f"fold_{fold}"


@dataclass(frozen=True)
class Part:
    """The patients and examples of one part, both sorted."""

    patients: tuple[str, ...]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """A split that can be read, checked and used again.

    Parts are `fold_0`, `fold_1`, … (at least two) and, unless the split is pure
    cross-validation, `test`. `seed` is None where the split was not computed. `counts`
    may be left out of a written one, and so may `built`, which says how the dataset is
    opened: `{"name": as in the settings, "options": of its builder}`.
    """

    dataset: str
    data_hash: str
    seed: int | None
    classes: tuple[str, ...]
    parts: dict[str, Part]
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    built: dict[str, Any] = field(default_factory=dict)

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return len(self.parts) - (TEST in self.parts)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Manifest":
        """Reads a manifest; raises SplitError that names the file and what is wrong."""
        path = Path(path)
        try:
            return _from_json(strictly_parsed(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise SplitError(
                f"{path}: there is no such file; give a run's splits.json, or what "
                "config.data.manifest_out wrote"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise SplitError(f"{path}: cannot be read: {error}") from error
        except json.JSONDecodeError as error:
            where = f"{path}:{error.lineno}:{error.colno}"
            raise SplitError(f"{where}: not JSON: {error.msg}") from error
        except (SplitError, ValueError) as error:
            raise SplitError(f"{path}: {error}") from error

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the manifest as JSON, whole or not at all."""
        content = {
            "version": VERSION,
            "dataset": self.dataset,
            **({"built": self.built} if self.built else {}),
            "data_hash": self.data_hash,
            "seed": self.seed,
            "classes": list(self.classes),
            "counts": self.counts,
            "parts": {
                name: {"patients": list(p.patients), "examples": list(p.examples)}
                for name, p in self.parts.items()
            },
        }
        write_whole(path, json.dumps(content, indent=1) + "\n")

    def check(self, table: ExampleTable) -> None:
        """Refuses a manifest that does not split exactly these examples by patient.

        Raises:
            SplitError: made for other data or classes, an unknown, repeated or missing
                id, a patient or study on two sides, the same pixels on two sides, an
                empty part, or counts that do not hold.
        """
        sides = self.sides(table)
        self._check_patients(table)
        _check_leaks(table, sides)
        for name, rows in self._rows(table).items():
            if name in self.counts and self.counts[name] != count_part(table, rows):
                raise SplitError(f"manifest's counts of part {name} are not the data's")

    def sides(self, table: ExampleTable) -> list[str]:
        """The part of each example, in the table's order.

        Raises:
            SplitError: made for other data or classes, or not for just these examples.
        """
        if self.data_hash != table.data_hash:
            raise SplitError(
                f"manifest was made for data {self.data_hash or '(no hash)'}, "
                f"this is {table.data_hash or '(no hash)'}"
            )
        if self.classes != table.classes:
            raise SplitError(
                f"manifest has classes {', '.join(self.classes)}; "
                f"the data has {', '.join(table.classes)}"
            )
        self._check_examples(table)
        part = {e: name for name, part in self.parts.items() for e in part.examples}
        return [part[example] for example in table.example_id]

    def indices(self, table: ExampleTable, fold: int) -> dict[str, np.ndarray]:
        """The rows to train, validate and test on, each in the table's order.

        `validation` is the fold, `train` all other folds; `test` is empty in pure
        cross-validation. The manifest is checked first.

        Raises:
            SplitError: as `check`, or no such fold.
        """
        if not 0 <= fold < self.folds:
            raise SplitError(f"fold {fold} is not one of 0 to {self.folds - 1}")
        self.check(table)
        rows = self._rows(table)
        others = [rows[fold_name(k)] for k in range(self.folds) if k != fold]
        return {
            "train": np.sort(np.concatenate(others)),
            "validation": rows[fold_name(fold)],
            "test": rows.get(TEST, np.empty(0, np.intp)),
        }

    def _rows(self, table: ExampleTable) -> dict[str, np.ndarray]:
        place = {e: i for i, e in enumerate(table.example_id)}
        return {
            name: np.array(sorted(place[e] for e in part.examples), np.intp)
            for name, part in self.parts.items()
        }

    def _check_examples(self, table: ExampleTable) -> None:
        for name, part in self.parts.items():
            if not part.examples or not part.patients:
                raise SplitError(f"part {name} of the manifest is empty")
        listed = [e for part in self.parts.values() for e in part.examples]
        _refuse(
            "unknown example ids in the manifest", set(listed) - {*table.example_id}
        )
        _refuse("examples listed twice in the manifest", _repeated(listed))
        _refuse("examples in no part of the manifest", {*table.example_id} - {*listed})

    def _check_patients(self, table: ExampleTable) -> None:
        listed = [p for part in self.parts.values() for p in part.patients]
        _refuse(
            "unknown patient ids in the manifest", set(listed) - {*table.patient_id}
        )
        _refuse("patients on two sides of the manifest", _repeated(listed))
        owner = dict(zip(table.example_id, table.patient_id, strict=True))
        sides: dict[str, set[str]] = {}
        for name, part in self.parts.items():
            for example in part.examples:
                sides.setdefault(owner[example], set()).add(name)
        torn = {p for p, names in sides.items() if len(names) > 1}
        _refuse("patients on two sides of the manifest", torn)
        for name, part in self.parts.items():
            astray = {p for p, names in sides.items() if name in names}
            _refuse(
                f"patients listed wrongly in part {name}", astray ^ {*part.patients}
            )


def keep_splits(
    manifest: Manifest | None, folder: Path, *, copy: str = "", writes: bool = True
) -> None:
    """Writes a run's splits as `splits.json` into its folder.

    Args:
        manifest: the splits; None where nothing was split.
        folder: of the run.
        copy: another file to write them to.
        writes: whether this process writes.

    Raises:
        SplitError: the run began with other splits; in every process.
    """
    path = folder / "splits.json"
    if manifest is None:
        return
    if path.exists():
        begun = Manifest.read(path)
        if (begun.data_hash, begun.parts) != (manifest.data_hash, manifest.parts):
            raise SplitError(
                f"{path}: the run began with other splits or data; its test patients "
                "would no longer be unseen. Give what it began with, or a new --workdir"
            )
    for target in (path, *([Path(copy)] if copy else [])):
        if writes:
            manifest.write(target)


def crossing(names: Sequence[str], sides: Sequence[str]) -> set[str]:
    """The names that stand on more than one side; empty ones are no names."""
    side: dict[str, str] = {}
    pairs = zip(names, sides, strict=bool(names))
    return {n for n, s in pairs if n and side.setdefault(n, s) != s}


def count_part(table: ExampleTable, rows: np.ndarray) -> dict[str, Any]:
    """Counts examples, videos, patients and each class's labels in some rows."""
    labels = table.labels[rows]
    patients = np.array([table.patient_id[i] for i in rows])
    return {
        "examples": len(rows),
        "videos": len({table.video_id[i] for i in rows}),
        "patients": len(set(patients)),
        "classes": {
            name: {
                "positive_examples": int((labels[:, k] == 1).sum()),
                "positive_patients": len(set(patients[labels[:, k] == 1])),
                "unknown_examples": int((labels[:, k] == UNKNOWN).sum()),
            }
            for k, name in enumerate(table.classes)
        },
    }


def _check_leaks(table: ExampleTable, sides: Sequence[str]) -> None:
    _refuse("studies on two sides of the manifest", crossing(table.study_id, sides))
    for same in crossing(table.pixel_hash, sides):
        shown = {sides[i]: i for i, name in enumerate(table.pixel_hash) if name == same}
        places = ", ".join(f"{table.example_id[i]} in {s}" for s, i in shown.items())
        raise SplitError(
            f"examples on two sides show exactly the same: {places}; see "
            f"python -m ultrasound_jax.data.audit {table.dataset.split('/')[0]}"
        )


def _repeated(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def _refuse(what: str, names: set[str]) -> None:
    if names:
        raise SplitError(f"{what}: {some(names)}")


def _from_json(content: Any) -> Manifest:
    if not isinstance(content, dict):
        raise SplitError("the top level must be an object")
    version = content.get("version")
    if version != VERSION:
        raise SplitError(f"version is {version!r}, only {VERSION} is known")
    unknown = set(content) - set(_KEYS)
    if unknown:
        raise SplitError(f"unknown keys {some(unknown)}; known: {', '.join(_KEYS)}")
    seed = content.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise SplitError(f"seed is {seed!r}, not a whole number or null")
    parts = _object(content, "parts")
    folds = [fold_name(k) for k in range(len(parts) - (TEST in parts))]
    if len(folds) < 2 or set(parts) - {TEST} != set(folds):
        raise SplitError(
            f"parts are {', '.join(parts) or 'none'}; allowed: {TEST}, fold_0, fold_1 "
            "and so on without gaps, at least two folds"
        )
    order = [name for name in (TEST, *folds) if name in parts]
    return Manifest(
        dataset=_text(content, "dataset"),
        data_hash=_text(content, "data_hash"),
        seed=seed,
        classes=_names(content, "classes"),
        parts={name: _part(parts, name) for name in order},
        counts=dict(_object(content, "counts")) if "counts" in content else {},
        built=_built(content) if "built" in content else {},
    )


def _built(content: Mapping[str, Any]) -> dict[str, Any]:
    built = _object(content, "built")
    return {"name": _text(built, "name"), "options": dict(_object(built, "options"))}


def _part(parts: Mapping[str, Any], name: str) -> Part:
    content = _object(parts, name)
    return Part(
        patients=_names(content, "patients", f" of part {name}"),
        examples=_names(content, "examples", f" of part {name}"),
    )


def _object(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    if not isinstance(value, dict):
        raise SplitError(f"'{key}' is missing or not an object")
    return value


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str):
        raise SplitError(f"'{key}' is missing or not a text")
    return value


def _names(content: Mapping[str, Any], key: str, where: str = "") -> tuple[str, ...]:
    value = content.get(key)
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise SplitError(f"'{key}'{where} is missing or not a list of texts")
    return tuple(value)
