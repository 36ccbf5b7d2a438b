"""From what was found in each file to the rows of the index.

Everything here is a function of the files, the key and the index that was there before,
in no way of the order in which workers answered.
"""

import dataclasses
import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.index.history import (
    number_all,
    with_old_labels,
)
from ultrasound_jax.dicom.index.identities import (
    digests_of,
    words_of,
)
from ultrasound_jax.dicom.index.persons import (
    joined,
    same_persons,
    warnings_of,
)
from ultrasound_jax.dicom.index.rules import Rules
from ultrasound_jax.dicom.index.series import join_series
from ultrasound_jax.dicom.index.table import IndexRow

# The part of a reason before its colon; the summary counts them.
UNREADABLE, REGIONLESS = "unreadable", "no ultrasound region"
DUPLICATE, OTHER = "duplicate", "not ultrasound"
CAPTURE = (
    f"{OTHER}: a Secondary Capture with ultrasound regions (--keep captures uses it)"
)
BARE_CAPTURE = (
    f"{OTHER}: a Secondary Capture without ultrasound regions (--keep captures --keep "
    "regionless uses it)"
)
_NOBODY = {"", "ANONYMIZED", "ANONYMISED", "ANONYMOUS", "ANON", "NONE", "UNKNOWN"}


def facts_of(
    place: str, described: Mapping[str, Any], rules: Rules, pseudonyms: Pseudonyms
) -> dict[str, Any]:
    """What may be kept of a description: plain data without identifiers.

    Args:
        place: of the file below the root.
        described: as `describe_file` gives it.
        rules: of the run.
        pseudonyms: of the key file.
    """
    state = described["state"]
    if state == "not_dicom":
        return {"state": state}
    if state == "unreadable":
        return _skipped(described["sha256"], f"{UNREADABLE}: {described['reason']}")
    capture = not described["ultrasound"]
    if capture and not described.get("capture"):
        return _skipped(described["sha256"], OTHER)
    identity = described["patient_id"]
    if rules.patient_from:
        parents = PurePosixPath(place).parts[:-1]
        if len(parents) < rules.patient_from:
            reason = f"{UNREADABLE}: no folder {rules.patient_from} above it to name it"
            return _skipped(described["sha256"], reason)
        identity = parents[-rules.patient_from]
    study = described["study_uid"] or f"{identity}/{described['study_date']}"
    fields = dict(described["fields"])
    return {
        "state": "described",
        "sha256": described["sha256"],
        "sop": described["sop"] and pseudonyms.digest("sop", described["sop"]),
        "nobody": identity.strip().upper() in _NOBODY,
        "number": _number(place, identity),
        "times": described["times"],
        "capture": capture,
        "film": described.get("film", False),
        "hurt": described.get("hurt", ""),
        **digests_of(described, pseudonyms),
        "fields": fields
        | words_of(described, pseudonyms)
        | {
            "patient_id": pseudonyms.patient(identity),
            "study_id": pseudonyms.study(study),
            "study_date": _date(described["study_date"], identity, rules, pseudonyms),
        },
    }


def skipped_facts(reason: str) -> dict[str, Any]:
    """The facts of a file that could not be described at all."""
    return _skipped("", f"{UNREADABLE}: {reason}")


def _skipped(sha256: str, reason: str) -> dict[str, Any]:
    return {"state": "skipped", "sha256": sha256, "reason": reason}


def _number(place: str, identity: str) -> int | None:
    """The number that a file's name is, as in `00012.dcm`.

    A long number, or the patient's own, may be a hospital's and is not passed on.
    """
    match = re.fullmatch(r"(\d{1,5})(\.[A-Za-z]\w*)?", PurePosixPath(place).name, re.A)
    if not match or match[1].lstrip("0") == identity.strip().lstrip("0"):
        return None
    return int(match[1])


def _date(text: str, identity: str, rules: Rules, pseudonyms: Pseudonyms) -> str:
    digits = text.replace(".", "").replace("-", "")
    if rules.dates == "drop" or not re.fullmatch(r"\d{8}", digits, re.A):
        return ""
    try:
        date = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        days = pseudonyms.shift_days(identity)
        return (date + datetime.timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return ""


@dataclass(frozen=True)
class Assembled:
    """An index ready to be written.

    rows: sorted, the usable ones first.
    places: `video_id` to place below the root.
    times: `video_id` to the seconds of its frames, where they vary.
    not_dicom: places of files that are none.
    warnings: one line each.
    parts: `video_id` to the places of all its files in order, where it has several.
    """

    rows: list[IndexRow]
    places: dict[str, str]
    times: dict[str, list[float]]
    not_dicom: list[str]
    warnings: list[str]
    parts: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def assemble(
    facts: Mapping[str, Mapping[str, Any]],
    before: Sequence[IndexRow],
    rules: Rules,
    pseudonyms: Pseudonyms,
    times_folder: str,
) -> Assembled:
    """Makes the rows: skips, numbers, and keeps what was labelled before.

    A file that the index before knew (by its hash) keeps its number and its labels. A
    labelled row whose file is gone stays, skipped as `missing`: labels are never lost.

    Args:
        facts: of every file, by place.
        before: rows of the index that is there already, or none.
        rules: of the run.
        pseudonyms: of the key file.
        times_folder: name of the folder of frame times, beside the index.
    """
    known = {row.sha256 for row in before if row.ok}
    usable, reasons = _sort_out(facts, known, rules)
    warnings = _warnings([facts[p] for p in usable], usable, rules)
    facts, more = _persons(facts, usable, before, rules)
    series: dict[str, list[str]] = {}
    if rules.join_series:
        facts, usable, series = join_series(facts, usable)
    usable, alone = _whole_only(facts, usable)
    reasons |= alone
    numbers = number_all({p: facts[p] for p in usable}, before)
    ids = {p: f"{facts[p]['fields']['patient_id']}_{numbers[p]:05d}" for p in usable}
    parts = {ids[first]: members for first, members in series.items()}
    ids |= {p: ids[first] for first, members in series.items() for p in members}
    rows, places, times = [], {}, {}
    for place in sorted(usable):
        video_id = ids[place]
        row = _used_row(video_id, numbers[place], facts[place])
        if facts[place]["times"]:
            times[video_id] = facts[place]["times"]
            row = replace(row, frame_times_file=f"{times_folder}/{video_id}.csv")
        rows.append(row)
        places[video_id] = place
    for place, (reason, original) in reasons.items():
        video_id = "F" + pseudonyms.digest("file", place)[:10]
        text = f"{reason} {ids[original]}" if original else reason
        rows.append(_skipped_row(video_id, text, facts[place]))
        places[video_id] = place
    rows = with_old_labels(rows, before)
    rows.sort(key=lambda r: (not r.ok, r.patient_id, r.data_idx or 0, r.video_id))
    not_dicom = sorted(p for p, fact in facts.items() if fact["state"] == "not_dicom")
    return Assembled(rows, places, times, not_dicom, warnings + more, parts)


def _whole_only(
    facts: Mapping[str, Mapping[str, Any]], usable: Sequence[str]
) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Places without those whose only frame is damaged, unless a cine has it; these."""
    alone = {
        place: (f"{UNREADABLE}: {facts[place]['hurt']}", "")
        for place in usable
        if facts[place].get("hurt")
    }
    return [place for place in usable if place not in alone], alone


def _persons(
    facts: Mapping[str, Mapping[str, Any]],
    usable: Sequence[str],
    before: Sequence[IndexRow],
    rules: Rules,
) -> tuple[Mapping[str, Mapping[str, Any]], list[str]]:
    """The facts, in which one person may have become one patient, and warnings."""
    used = [facts[place] for place in usable]
    groups, folders = same_persons(used), rules.patient_from > 0
    join = rules.join_patients
    warnings = warnings_of(used, groups, join=join, from_folders=folders)
    return joined(facts, groups, before) if join else facts, warnings


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _used_row(video_id: str, number: int, fact: Mapping[str, Any]) -> IndexRow:
    fields = {**fact["fields"], "regions": tuple(fact["fields"]["regions"])}
    if not fields["regions"] and not fact["film"]:
        fields["reason"] = _joined(fields["reason"], REGIONLESS + ": used whole")
    return IndexRow(video_id=video_id, data_idx=number, sha256=fact["sha256"], **fields)


def _skipped_row(video_id: str, reason: str, fact: Mapping[str, Any]) -> IndexRow:
    fields = dict(fact.get("fields", {}))
    if fields:
        fields["regions"] = tuple(fields["regions"])
    fields |= {"status": "skipped", "reason": reason, "sha256": fact["sha256"]}
    return IndexRow(video_id=video_id, **fields)


def _sort_out(
    facts: Mapping[str, Mapping[str, Any]], known: set[str], rules: Rules
) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Places to use, and for the others the reason and the place that they repeat.

    Of duplicates one that is whole is kept, of several the one that was in use before,
    else the first by name.
    """
    usable: list[str] = []
    reasons: dict[str, tuple[str, str]] = {}
    seen: dict[str, str] = {}
    order = sorted(
        facts,
        key=lambda p: (
            bool(facts[p].get("hurt")),
            facts[p].get("sha256") not in known,
            p,
        ),
    )
    for place in order:
        fact = facts[place]
        if fact["state"] == "skipped":
            reasons[place] = (fact["reason"], "")
        if fact["state"] != "described":
            continue
        if fact["capture"] and not rules.keep_captures:
            bare = not fact["fields"]["regions"]
            reasons[place] = (BARE_CAPTURE if bare else CAPTURE, "")
            continue
        bare = not (fact["fields"]["regions"] or fact["film"])
        if bare and not rules.keep_regionless:
            reasons[place] = (REGIONLESS, "")
            continue
        keys = [key for key in (fact["sha256"], fact["sop"]) if key]
        first = next((seen[key] for key in keys if key in seen), "")
        if first and not rules.keep_duplicates:
            same = facts[first]["sha256"] == fact["sha256"]
            what = "the same bytes as" if same else "same SOPInstanceUID, other bytes:"
            reasons[place] = (f"{DUPLICATE}: {what}", first)
            continue
        usable.append(place)
        for key in keys:
            seen.setdefault(key, place)
    return usable, dict(sorted(reasons.items()))


def _warnings(
    facts: Sequence[Mapping[str, Any]], places: Sequence[str], rules: Rules
) -> list[str]:
    if rules.patient_from or not facts:
        return []
    nobody = sum(fact["nobody"] for fact in facts)
    patients = {fact["fields"]["patient_id"] for fact in facts}
    folders = {PurePosixPath(place).parent for place in places}
    if nobody * 2 >= len(facts):
        return [
            f"{nobody} of {len(facts)} files have no PatientID of their own (empty, "
            "ANONYMIZED, ...) and count as one patient; if folders are named by "
            "patient, use --patient-from folder or folder:2"
        ]
    if len(patients) == 1 and len(folders) > 1:
        return [
            f"all {len(facts)} files have one PatientID but lie in {len(folders)} "
            "folders; if these are patients, use --patient-from folder"
        ]
    return []


def category(row: IndexRow) -> str:
    """The part of a skipped row's reason that the summary counts by."""
    if row.reason in (CAPTURE, BARE_CAPTURE):
        return row.reason
    return row.reason.partition(":")[0]
