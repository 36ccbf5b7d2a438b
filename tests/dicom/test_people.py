import pytest

from tests.dicom.test_indexing import KEY, described, table
from ultrasound_jax.dicom.deid.people import age_of, person_of, plain_name, sex_of

JANE = {"name": "Doe^Jane", "birth_date": "19500101"}


@pytest.mark.parametrize(
    ("text", "sex"), [("M", "M"), ("f ", "F"), ("O", "O"), ("Female", "F"), ("X", "")]
)
def test_a_sex_is_one_of_three_words(text, sex):
    assert sex_of(text) == sex


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("073Y", "73"),
        ("89Y", "89"),
        ("090Y", "90+"),
        ("104Y", "90+"),
        ("018M", "1"),
        ("011M", "0"),
        ("051W", "0"),
        ("053W", "1"),
        ("004D", "0"),
        ("999Y", ""),
        ("Doe", ""),
        ("073", ""),
        ("-5Y", ""),
    ],
)
def test_ages_are_whole_years_and_bounded(age, years):
    assert age_of(age, "", "") == years


@pytest.mark.parametrize(
    ("born", "seen", "years"),
    [
        ("19500301", "20240229", "73"),
        ("19500301", "20240301", "74"),
        ("1950.03.01", "2024-03-01", "74"),
        ("20240101", "20240229", "0"),
        ("20250101", "20240229", ""),
        ("18000101", "20240229", ""),
        ("19310101", "20240229", "90+"),
        ("19501399", "20240229", ""),
        ("", "20240229", ""),
    ],
)
def test_without_an_age_the_dates_tell(born, seen, years):
    assert age_of("", born, seen) == years


@pytest.mark.parametrize(
    "name",
    [
        "Müller^Zoë",
        "MUELLER^ZOE",
        "muller^zoe^^Dr.",
        "Zoë Müller",
        "Müller, Zoë",
        " Müller ^ Zoë =山田^太郎",
    ],
)
def test_ways_to_write_a_name_are_one(name):
    assert plain_name(name) == "muller zo"


def test_other_names_are_others():
    names = ["Doe^Jane", "Doe^John", "Roe^Jane", "山田^太郎", "O'Brien^Jane", "O^Jane"]
    assert len({plain_name(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "name", ["", "^^", "ANONYMIZED", "Anon^", "Unknown", "no name", "1234"]
)
def test_nobody_has_no_name(name):
    assert plain_name(name) == "" and person_of(name, "19500101") == ""


def test_second_given_names_may_be_left_out_of_the_short_name():
    assert plain_name("Doe^Jane Mary", short=True) == plain_name("Doe^Jane", short=True)
    assert plain_name("Doe^Jane Mary") != plain_name("Doe^Jane")


def files(**patients):
    return {
        f"{patient}/{number}": described(
            patient, sha256=f"{patient}{number}", particulars=who
        )
        for patient, whos in patients.items()
        for number, who in enumerate(whos)
    }


def test_one_person_under_two_ids_is_warned_of():
    same = JANE | {"name": "DOE^JANE^^MRS"}
    made = table(files(one=[JANE], two=[same], three=[JANE | {"name": "Roe^Jane"}]))
    one, two = sorted(map(KEY.patient, ("one", "two")))
    (warning,) = made.warnings
    assert warning.startswith(f"patients {one} and {two} have the same name and birth")
    assert "leak between splits" in warning and "--join-patients" in warning
    assert len({row.patient_id for row in made.rows}) == 3


@pytest.mark.parametrize(
    "other",
    [
        JANE | {"birth_date": "19500102"},
        JANE | {"birth_date": ""},
        JANE | {"name": "Doe^John"},
        {},
    ],
)
def test_others_are_not_warned_of(other):
    assert table(files(one=[JANE], two=[other])).warnings == []


def test_joined_patients_have_one_pseudonym_and_intervals_stay_true():
    patients = files(one=[JANE, JANE], two=[JANE], three=[JANE | {"name": "Roe^Jo"}])
    made = table(patients, join_patients=True)
    by_place = {made.places[row.video_id]: row for row in made.rows}
    first = min(map(KEY.patient, ("one", "two")))
    together = [by_place[place] for place in ("one/0", "one/1", "two/0")]
    assert {row.patient_id for row in together} == {first}
    assert len({row.video_id for row in together}) == 3
    dated = {row.patient_id for row in together if row.study_date}
    own = {p for p in ("one", "two") if KEY.patient(p) == first}
    undated = [p for p, r in by_place.items() if not r.study_date]
    assert dated == {first} and not any(p.split("/")[0] in own for p in undated)
    assert by_place["three/0"].patient_id == KEY.patient("three")
    (warning,) = made.warnings
    assert "are one patient now" in warning


def test_ids_of_joined_patients_stay_when_a_third_id_comes():
    first = table(files(b=[JANE, JANE], c=[JANE]), join_patients=True)
    ids = {first.places[row.video_id]: row.video_id for row in first.rows}
    for third in ("a", "d", "e", "f"):
        more = files(b=[JANE, JANE], c=[JANE]) | files(**{third: [JANE]})
        again = table(more, first.rows, join_patients=True)
        found = {again.places[row.video_id]: row.video_id for row in again.rows}
        assert ids.items() <= found.items()
        assert len({row.patient_id for row in again.rows}) == 1


def test_one_id_of_two_names_is_warned_of():
    made = table(files(test=[JANE, JANE | {"name": "Roe^Richard"}]))
    (warning,) = made.warnings
    assert warning.startswith(f"patient {KEY.patient('test')} has 2 names")
    assert table(files(x=[JANE, JANE | {"name": "Doe^Jane Mary"}])).warnings == []
    (warning,) = table(
        files(test=[JANE, JANE | {"name": "Roe^Jo"}]), patient_from=1
    ).warnings
    assert "in one folder" in warning


def test_many_warnings_are_counted():
    people = {
        f"p{n}{side}": [{"name": f"Doe{'x' * n}^J", "birth_date": "19500101"}]
        for n in range(15)
        for side in "ab"
    }
    warnings = table(files(**people)).warnings
    assert len(warnings) == 10 and warnings[-1].startswith("and 5 more like this one")


def test_sex_age_and_probe_stand_in_the_row():
    who = JANE | {"sex": "F", "transducer": ["", "C5_1"], "transducer_type": "x"}
    (row,) = table({"a": described(particulars=who)}).rows
    assert (row.sex, row.age, row.transducer) == ("F", "74", "C5-1")
