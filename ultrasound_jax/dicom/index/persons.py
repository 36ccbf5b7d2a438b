"""Patients who may be one person, and patients who may be several.

Names and dates of birth are known here as keyed digests only; what is said and written
are pseudonyms.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ultrasound_jax.dicom.index.table import IndexRow

_MOST = 10  # lines of one kind; the rest is counted


def same_persons(facts: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Pseudonyms that share a name with its date of birth, each group sorted."""
    leader: dict[str, str] = {}

    def find(patient: str) -> str:
        while leader.setdefault(patient, patient) != patient:
            patient = leader[patient]
        return patient

    first: dict[str, str] = {}
    for fact in facts:
        patient, person = fact["fields"]["patient_id"], fact.get("person")
        if person:
            one, other = find(patient), find(first.setdefault(person, patient))
            leader[max(one, other)] = min(one, other)
    groups: dict[str, list[str]] = defaultdict(list)
    for patient in sorted(leader):
        groups[find(patient)].append(patient)
    return [group for group in groups.values() if len(group) > 1]


def joined(
    facts: Mapping[str, Mapping[str, Any]],
    groups: Iterable[Sequence[str]],
    before: Iterable[IndexRow],
) -> dict[str, Mapping[str, Any]]:
    """The facts with one pseudonym for each group.

    It is that of most rows of the index before, so that ids stay when files are added.
    Dates of the others go: they were shifted by other days, and intervals would be
    wrong.
    """
    rows = Counter(row.patient_id for row in before if row.ok)
    name: dict[str, str] = {}
    for group in groups:
        kept = max(group, key=lambda patient: (rows[patient], -group.index(patient)))
        name |= {patient: kept for patient in group if patient != kept}
    result = dict(facts)
    for place, fact in facts.items():
        patient = fact.get("fields", {}).get("patient_id")
        if patient in name:
            change = {"patient_id": name[patient], "study_date": ""}
            result[place] = {**fact, "fields": {**fact["fields"], **change}}
    return result


def warnings_of(
    facts: Sequence[Mapping[str, Any]],
    groups: Sequence[Sequence[str]],
    *,
    join: bool,
    from_folders: bool,
) -> list[str]:
    """One line for each group of one person, and for each patient of several names."""
    lines = []
    for group in groups:
        who = f"patients {', '.join(group[:-1])} and {group[-1]} have the same name "
        if join:
            who += (
                "and birth date: they are one patient now; study dates of all but one "
                "of them are left out, as each had its own shift"
            )
        else:
            who += (
                "and birth date: they may be one person, and would leak between "
                "splits; --join-patients makes them one"
            )
        lines.append(who)
    names: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        if fact.get("name"):
            names[fact["fields"]["patient_id"]].add(fact["name"])
    source = (
        "in one folder" if from_folders else "under one PatientID, such as a test's"
    )
    hint = "" if from_folders else ", or --patient-from folder if those name patients"
    several = [
        f"patient {patient} has {len(found)} names: these may be several persons "
        f"{source}; look at them{hint}"
        for patient, found in sorted(names.items())
        if len(found) > 1
    ]
    return _shortened(lines) + _shortened(several)


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST:
        return lines
    more = f"and {len(lines) - _MOST} more like this one: {lines[_MOST - 1]}"
    return [*lines[: _MOST - 1], more]
