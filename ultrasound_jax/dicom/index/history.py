"""What an index that is renewed takes over: the numbers of files, and their labels."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ultrasound_jax.dicom.index.table import IndexRow

MISSING = "missing"  # the reason of a labelled row whose file is gone


def number_all(
    facts: Mapping[str, Mapping[str, Any]], before: Iterable[IndexRow]
) -> dict[str, int]:
    """A number for each place, unique within its patient.

    First the numbers of the index before; then those that file names are, where no two
    files of the patient have the same; then the next free ones, in the files' order.
    """
    old: dict[tuple[str, str], list[int]] = defaultdict(list)
    taken: dict[str, set[int]] = defaultdict(set)
    for row in before:
        if row.data_idx is not None and row.patient_id:
            old[row.patient_id, row.sha256].append(row.data_idx)
            taken[row.patient_id].add(row.data_idx)
    numbers: dict[str, int] = {}
    wishes: Counter[tuple[str, int]] = Counter()
    for place in sorted(facts):
        patient = facts[place]["fields"]["patient_id"]
        if former := old[patient, facts[place]["sha256"]]:
            numbers[place] = former.pop(0)
        elif facts[place]["number"] is not None:
            wishes[patient, facts[place]["number"]] += 1
    rest = [place for place in sorted(facts) if place not in numbers]
    for place in rest:
        patient, number = facts[place]["fields"]["patient_id"], facts[place]["number"]
        if wishes[patient, number] == 1 and number not in taken[patient]:
            numbers[place] = number
            taken[patient].add(number)
    for place in rest:
        patient = facts[place]["fields"]["patient_id"]
        if place not in numbers:
            numbers[place] = max(taken[patient], default=0) + 1
            taken[patient].add(numbers[place])
    return numbers


def with_old_labels(rows: list[IndexRow], before: Iterable[IndexRow]) -> list[IndexRow]:
    """The rows with the labels that were written into the index before."""
    labelled = {row.video_id: row for row in before if row.labelled}
    result: dict[str, IndexRow] = {row.video_id: row for row in rows}
    by_hash: dict[str, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (not row.ok, row.video_id)):
        by_hash[row.sha256].append(row.video_id)
    # The same id and bytes first; then the same bytes under another id.
    for old_id, old in list(labelled.items()):
        if old_id in result and result[old_id].sha256 == old.sha256:
            result[old_id] = replace(result[old_id], labels=old.labels)
            del labelled[old_id]
    for old_id, old in list(labelled.items()):
        free = [i for i in by_hash[old.sha256] if not result[i].labelled]
        if old.sha256 and free:
            result[free[0]] = replace(result[free[0]], labels=old.labels)
            del labelled[old_id]
    for old_id, old in labelled.items():
        gone = old_id
        while gone in result:
            gone += "_before"
        reason = f"{MISSING}: no file has these bytes now"
        result[gone] = replace(old, video_id=gone, status="skipped", reason=reason)
    return list(result.values())
