"""Who is in a dataset and its splits, as reviewers ask: the flow, and table 1.

`population.json` of a run's folder holds counts and medians, no ids, so that a report
can be drawn from the folder alone. What is not known is null, and `unknown` says it in
words; nothing is guessed.

    {"units": [example, group], "patient": what a patient is, or "",
     "found": {"files", "patients", "what"} or null,
     "left_out": [{"stage", "reason", "files"}], "unknown": [sentence],
     "built": COUNTS, "parts": {part: COUNTS}, "outside": COUNTS,
     "characteristics": [ROW], "classes": {class: {part: {"positive", "known",
         "positive_patients"}}}}

COUNTS are `examples`, `groups` and `patients`; of the parts also the most that one
patient has (`most_of_one`). ROW is `{"name", "of": "patients" or "groups", "parts":
{part: NUMBERS or {"values": {value: count}}, with "unknown": count}}`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ultrasound_jax.data.examples import ExampleTable
from ultrasound_jax.data.manifest import Manifest

NAME = "population.json"
INDEX, BUILD = "index", "build"
# What builders write into their metadata, for a population to be told of.
FOUND, BY_GROUP = "found", "by_video"
AGE, OLDEST = "age", "90+"
# A column of more values is no characteristic but a name or a measurement.
MOST_VALUES = 12
_PSEUDONYM = re.compile(r"\bP[0-9a-f]{10}(_\d+)?\b")
_SPARE = re.compile(r"(\d+) recordings")


def parts_of(
    table: ExampleTable,
    indices: Mapping[str, np.ndarray],
    manifest: Manifest | None,
    *,
    pooled: bool,
) -> dict[str, np.ndarray]:
    """The rows of each part: train, validation and test, or every fold where pooled."""
    if not pooled or manifest is None:
        return {name: np.asarray(rows) for name, rows in indices.items() if len(rows)}
    sides = np.array(manifest.sides(table), str)
    return {name: np.flatnonzero(sides == name) for name in manifest.parts}


def describe(
    table: ExampleTable,
    parts: Mapping[str, np.ndarray],
    *,
    account: Mapping[str, Any],
    units: tuple[str, str],
    patient: str = "",
) -> dict[str, Any]:
    """The tree of `population.json`.

    Args:
        table: of the dataset.
        parts: rows of the table, by name; a row in none is `outside`.
        account: what the dataset's builder noted while it was built.
        units: what an example is called, and its group.
        patient: what a patient is, where the files name none.
    """
    inside = np.concatenate([np.zeros(0, int), *parts.values()])
    outside = np.setdiff1d(np.arange(len(table.example_id)), inside)
    found = account.get(FOUND) or None
    return {
        "units": list(units),
        "patient": patient,
        "found": found and {k: found.get(k) for k in ("files", "patients", "what")},
        "left_out": _left_out(account),
        "unknown": _unknown(account),
        "built": _counts(table, np.arange(len(table.example_id))),
        "parts": {
            name: _counts(table, rows) | {"most_of_one": _most_of_one(table, rows)}
            for name, rows in parts.items()
        },
        "outside": _counts(table, outside),
        "characteristics": _characteristics(table, account, parts),
        "classes": {
            name: {part: _labels(table, rows, k) for part, rows in parts.items()}
            for k, name in enumerate(table.classes)
        },
    }


def _counts(table: ExampleTable, rows: np.ndarray) -> dict[str, int]:
    return {
        "examples": len(rows),
        "groups": len({table.video_id[i] for i in rows}),
        "patients": len({table.patient_id[i] for i in rows}),
    }


def _most_of_one(table: ExampleTable, rows: np.ndarray) -> int:
    return max(Counter(table.patient_id[i] for i in rows).values(), default=0)


def _labels(table: ExampleTable, rows: np.ndarray, k: int) -> dict[str, int]:
    column = table.labels[rows, k]
    positive = rows[column == 1]
    return {
        "positive": len(positive),
        "known": int((column >= 0).sum()),
        "positive_patients": len({table.patient_id[i] for i in positive}),
    }


def _unknown(account: Mapping[str, Any]) -> list[str]:
    said = []
    if not account.get(FOUND):
        said.append(
            "The dataset does not record how many files there were before it was "
            "built: the flow begins with what was built."
        )
    elif account[FOUND].get("patients") is None:
        said.append("Of how many patients the files were is not recorded.")
    if "skipped" not in account:
        said.append("The dataset does not record what was left out when it was built.")
    return said


def _left_out(account: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How many files were left out for each kind of reason, by stage."""
    by_index = set((account.get(FOUND) or {}).get("not_usable", ()))
    counts: Counter[tuple[str, str]] = Counter()
    for one in account.get("skipped", ()):
        stage = INDEX if one["file"] in by_index else BUILD
        counts[stage, kind_of(str(one["reason"]))] += left_out(str(one["file"]))
    order = sorted(counts.items(), key=lambda entry: (entry[0][0] != INDEX, -entry[1]))
    return [
        {"stage": stage, "reason": reason, "files": count}
        for (stage, reason), count in order
    ]


def left_out(name: str) -> int:
    """How many files an entry of what was skipped means: `3 recordings` are three."""
    several = _SPARE.fullmatch(name)
    return int(several[1]) if several else 1


def kind_of(reason: str) -> str:
    """A reason without what is of one file only: its numbers and its pseudonyms."""
    head = reason.partition(": ")[0]
    text = reason if re.search(r"\d", head) else head
    text = re.sub(r"\d+(\.\d+)?", "…", _PSEUDONYM.sub("…", text))
    return text if len(text) <= 90 else f"{text[:89]}…"


def _characteristics(
    table: ExampleTable, account: Mapping[str, Any], parts: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    columns: dict[str, Sequence[str]] = {**table.groups, **_of_groups(table, account)}
    if AGE in columns:  # comes first in every table 1
        columns = {AGE: columns[AGE], **columns}
    rows = []
    for name, cells in columns.items():
        known = {cell for cell in cells if cell}
        if known and (name == AGE or all(map(_is_number, known))):
            least = _by(table.patient_id, cells, np.arange(len(cells)))
            of, numbers = "patients", {p: min(v, key=_value) for p, v in least.items()}
            shown = {n: _numbers(table, numbers, rows) for n, rows in parts.items()}
        elif known and len(known) <= MOST_VALUES:
            of, owner = _owner(table, cells)
            shown = {n: _shares(owner, cells, rows) for n, rows in parts.items()}
        else:
            continue
        rows.append({"name": name, "of": of, "parts": shown})
    return rows


def _of_groups(
    table: ExampleTable, account: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """What the builder noted of each video, as columns of the table."""
    noted = account.get(BY_GROUP) or {}
    names = dict.fromkeys(name for facts in noted.values() for name in facts)
    return {
        name: tuple(str(noted.get(v, {}).get(name) or "") for v in table.video_id)
        for name in names
    }


def _owner(table: ExampleTable, cells: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Patients, where each has one value at most; otherwise groups."""
    by_patient = _by(table.patient_id, cells, np.arange(len(cells)))
    if all(len(values) == 1 for values in by_patient.values()):
        return "patients", table.patient_id
    return "groups", table.video_id


def _by(
    names: Sequence[str], cells: Sequence[str], rows: np.ndarray
) -> dict[str, set[str]]:
    """The values that each patient or group has; empty cells are none."""
    found: dict[str, set[str]] = defaultdict(set)
    for i in map(int, rows):
        if cells[i]:
            found[names[i]].add(cells[i])
    return found


def _shares(
    owner: Sequence[str], cells: Sequence[str], rows: np.ndarray
) -> dict[str, Any]:
    found = _by(owner, cells, rows)
    counts = Counter(value for values in found.values() for value in values)
    unknown = len({owner[i] for i in rows}) - len(found)
    return {"values": dict(sorted(counts.items())), "unknown": unknown}


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def _value(cell: str) -> float:
    """An age of 90 and more is 90 here, as the index groups it."""
    return 90.0 if cell == OLDEST else float(cell) if _is_number(cell) else np.inf


def _numbers(
    table: ExampleTable, of_patient: Mapping[str, str], rows: np.ndarray
) -> dict[str, Any]:
    """Median, quartiles and range over patients, each by his lowest value."""
    patients = {table.patient_id[i] for i in rows}
    cells = [of_patient[p] for p in patients if p in of_patient]
    values = np.array([v for v in map(_value, cells) if np.isfinite(v)])
    unknown = len(patients) - len(values)
    if not len(values):
        return {"median": None, "unknown": unknown}
    quarters = np.quantile(values, (0, 0.25, 0.5, 0.75, 1))
    names = ("least", "lower", "median", "upper", "most")
    return {
        **{name: float(q) for name, q in zip(names, quarters, strict=True)},
        "oldest": sum(cell == OLDEST for cell in cells),
        "unknown": unknown,
    }
