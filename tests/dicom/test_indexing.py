import datetime

import pytest

from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.index.rows import (
    Rules,
    assemble,
    facts_of,
)
from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.types import InputError

KEY = Pseudonyms(bytes(32))
REGION = {"left": 0, "top": 0, "right": 9, "bottom": 9, "index": 0}


def described(patient="4711", **changes):
    fields = {
        "data_type": "video",
        "frames": 60,
        "rows": 24,
        "columns": 32,
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "photometric": "RGB",
        "frame_rate": 30.0,
        "frame_rate_source": "FrameTime",
        "regions": [REGION],
        "region_index": 0,
        "mm_x": 0.5,
        "mm_y": 0.5,
        "reason": "",
    }
    return {
        "state": "described",
        "sha256": changes.pop("sha256", f"hash of {patient}"),
        "patient_id": patient,
        "study_uid": "1.2.3",
        "study_date": "20240229",
        "sop": "",
        "ultrasound": True,
        "times": None,
        "manufacturer": "Philips",
        "model": "CX50",
        "fields": fields | changes.pop("fields", {}),
    } | changes


def table(files, before=(), **rules):
    rules = Rules(**rules)
    facts = {place: facts_of(place, d, rules, KEY) for place, d in files.items()}
    return assemble(facts, before, rules, KEY, "index_times")


def numbered(names, patient="4711"):
    return {n: described(patient, sha256=f"bytes of {n}") for n in names}


def numbers(made):
    rows = {row.video_id: row for row in made.rows if row.ok}
    return {made.places[i].split("/")[-1]: row.data_idx for i, row in rows.items()}


def by_place(made):
    rows = {row.video_id: row for row in made.rows}
    return {place: rows[video_id] for video_id, place in made.places.items()}


def test_a_video_is_named_by_its_patient_and_number():
    (row,) = table({"x/00012.dcm": described()}).rows
    assert row.video_id == f"{KEY.patient('4711')}_00012"
    assert (row.patient_id, row.study_id) == (KEY.patient("4711"), KEY.study("1.2.3"))
    assert (row.data_idx, row.frames, row.regions) == (12, 60, (REGION,))
    assert row.ok and row.reason == ""


def test_numbers_are_those_of_the_files_where_names_are_numbers():
    names = ["a/00007.dcm", "a/3", "a/IM_0001", "a/sweep.dcm"]
    assert numbers(table(numbered(names))) == {
        "00007.dcm": 7,
        "3": 3,
        "IM_0001": 8,
        "sweep.dcm": 9,
    }


def test_numbers_that_may_be_a_hospitals_are_not_passed_on():
    names = ["a/4711.dcm", "a/0004711", "a/20240105.dcm", "a/123456"]
    assert set(numbers(table(numbered(names))).values()) == {1, 2, 3, 4}


def test_numbers_that_two_files_of_a_patient_have_are_given_to_none():
    made = table(numbered(["a/00001.dcm", "b/00001.dcm", "b/00002.dcm"]))
    assert sorted(row.data_idx for row in made.rows) == [2, 3, 4]
    both = numbered(["a/1"], "one") | numbered(["b/1"], "two")
    assert [row.data_idx for row in table(both).rows] == [1, 1]


def test_numbers_stay_when_files_are_added():
    first = table(numbered(["a/m", "a/z"]))
    assert numbers(first) == {"m": 1, "z": 2}
    more = numbered(["a/m", "a/z", "a/b", "a/2", "a/00009"])
    assert numbers(table(more, first.rows)) == {
        "m": 1,
        "z": 2,
        "00009": 9,
        "2": 10,
        "b": 11,
    }


def test_a_file_that_was_moved_keeps_its_number_and_labels():
    (row,) = table({"a/00007.dcm": described()}).rows
    labelled = IndexRow(**{**vars(row), "labels": {"A-line": "1_20"}})
    made = table({"elsewhere/IM5": described()}, [labelled])
    assert [(r.data_idx, r.labels) for r in made.rows] == [(7, {"A-line": "1_20"})]


def test_labels_of_files_that_are_gone_or_changed_are_never_lost():
    (row,) = table({"a/1": described(sha256="old")}).rows
    labelled = IndexRow(**{**vars(row), "labels": {"note": "review"}})
    made = table({"a/1": described(sha256="new")}, [labelled])
    fresh, kept = made.rows
    assert fresh.ok and not fresh.labelled and fresh.video_id != kept.video_id
    assert kept.labels == {"note": "review"} and kept.sha256 == "old"
    assert kept.reason == "missing: no file has these bytes now"
    # It stays in the next run too, and comes back with its bytes.
    again = table({"a/1": described(sha256="new")}, made.rows)
    assert again.rows == made.rows
    back = table({"a/1": described(sha256="old")}, again.rows)
    assert [(r.ok, r.labels) for r in back.rows] == [(True, {"note": "review"})]


def test_unlabelled_rows_of_files_that_are_gone_leave():
    made = table({"a/1": described(sha256="old")})
    assert len(table({"a/2": described(sha256="new")}, made.rows).rows) == 1


def test_labels_move_with_the_bytes_to_other_pseudonyms():
    (row,) = table({"p/1": described("ANONYMIZED")}).rows
    labelled = IndexRow(**{**vars(row), "labels": {"A-line": "3"}})
    (moved,) = table({"p/1": described("ANONYMIZED")}, [labelled], patient_from=1).rows
    assert moved.patient_id == KEY.patient("p") and moved.labels == {"A-line": "3"}


def test_duplicates_are_skipped_and_say_what_they_repeat():
    made = table(
        {
            "a/1": described(sop="1.9", sha256="x"),
            "b/2": described(sop="1.9", sha256="y"),
            "b/3": described(sop="1.9", sha256="x"),
            "b/4": described(sop="", sha256="x"),
        }
    )
    rows, first = by_place(made), f"{KEY.patient('4711')}_00001"
    assert rows["a/1"].ok and rows["a/1"].video_id == first
    other = "duplicate: same SOPInstanceUID, other bytes:"
    assert rows["b/2"].reason == f"{other} {first}"
    for place in ("b/3", "b/4"):
        assert rows[place].reason == f"duplicate: the same bytes as {first}"
        assert rows[place].status == "skipped"


def test_of_duplicates_the_one_that_was_used_before_stays():
    first = table({"m/1": described(sop="1.9", sha256="x")})
    files = {"m/1": described(sop="1.9", sha256="x")}
    files |= {"a/7": described(sop="1.9", sha256="y")}
    rows = by_place(table(files, first.rows))
    assert rows["m/1"].ok and not rows["a/7"].ok


def test_duplicates_are_all_used_on_request():
    files = {"a": described(sop="1.9"), "b": described(sop="1.9")}
    assert [r.data_idx for r in table(files, keep_duplicates=True).rows] == [1, 2]


def test_files_without_regions_are_skipped_or_used_whole():
    files = {"a": described(fields={"regions": [], "region_index": None})}
    (row,) = table(files).rows
    assert (row.status, row.reason) == ("skipped", "no ultrasound region")
    (row,) = table(files, keep_regionless=True).rows
    assert (row.status, row.reason) == ("ok", "no ultrasound region: used whole")


def test_unreadable_and_other_files_are_listed_with_the_reason():
    made = table(
        {
            "a": {"state": "unreadable", "reason": "ends early", "sha256": "x"},
            "b": described(ultrasound=False),
            "c.txt": {"state": "not_dicom"},
        }
    )
    assert {row.reason for row in made.rows} == {
        "unreadable: ends early",
        "not ultrasound",
    }
    assert not any(row.ok for row in made.rows)
    assert made.not_dicom == ["c.txt"] and len(made.places) == 2


def test_folders_can_name_the_patients():
    files = {"2024/p1/1": described("ANONYMIZED"), "2024/p2/1": described("ANONYMIZED")}
    ids = [row.patient_id for row in table(files, patient_from=1).rows]
    assert set(ids) == {KEY.patient("p1"), KEY.patient("p2")}
    ids = [row.patient_id for row in table(files, patient_from=2).rows if row.ok]
    assert set(ids) == {KEY.patient("2024")}
    (row,) = table({"lone": described()}, patient_from=1).rows
    assert row.reason == "unreadable: no folder 1 above it to name it"


@pytest.mark.parametrize(
    ("text", "level"), [("tag", 0), ("folder", 1), ("folder:1", 1), ("folder:3", 3)]
)
def test_the_source_of_patients_is_understood(text, level):
    assert Rules.patient_level(text) == level


@pytest.mark.parametrize("text", ["", "folder:0", "folder:x", "Folder", "folder:"])
def test_another_source_of_patients_is_refused(text):
    with pytest.raises(InputError, match="allowed are tag, folder and folder:N"):
        Rules.patient_level(text)


def test_patients_that_the_files_do_not_tell_are_warned_of():
    nobody = {f"p{n}/1": described("ANONYMIZED", sha256=str(n)) for n in range(3)}
    (warning,) = table(nobody).warnings
    assert warning.startswith("3 of 3 files have no PatientID of their own")
    assert table(nobody, patient_from=1).warnings == []
    (warning,) = table(
        {"a/1": described("7"), "b/1": described("7", sha256="")}
    ).warnings
    assert "one PatientID but lie in 2 folders" in warning
    assert table({"a/1": described("7"), "b/1": described("8")}).warnings == []


def test_dates_of_a_patient_are_shifted_by_the_same_days():
    files = {
        "a": described(study_date="20240229"),
        "b": described(study_date="2024.03.10", sha256="b"),
        "c": described(study_date="20241399", sha256="c"),
        "d": described(study_date="", sha256="d"),
        "e": described(study_date="00010101", sha256="e"),
    }
    rows = by_place(table(files))
    first, later = (datetime.date.fromisoformat(rows[p].study_date) for p in "ab")
    assert later - first == datetime.timedelta(days=10)
    assert first < datetime.date(2024, 2, 29)
    assert [rows[p].study_date for p in "cde"] == ["", "", ""]
    assert {row.study_date for row in table(files, dates="drop").rows} == {""}


def test_frame_times_have_a_file_only_where_they_vary():
    files = {"a": described(times=[0.0, 0.03, 0.07]), "b": described(sha256="b")}
    made = table(files)
    rows = by_place(made)
    video_id = rows["a"].video_id
    assert rows["a"].frame_times_file == f"index_times/{video_id}.csv"
    assert made.times == {video_id: [0.0, 0.03, 0.07]}
    assert rows["b"].frame_times_file == ""


def test_the_order_of_the_facts_does_not_matter():
    files = numbered(["a/1", "a/2", "b/2", "c"]) | {"d": described(sop="1", sha256="")}
    files |= {"e": described(sop="1", sha256="e"), "f": {"state": "not_dicom"}}
    assert table(files) == table(dict(reversed(files.items())))
