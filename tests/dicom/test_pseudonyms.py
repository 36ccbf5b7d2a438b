import hashlib
import hmac
import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.types import InputError

KEY = Pseudonyms(bytes(range(32)))


def test_a_pseudonym_is_the_keyed_hash_of_the_identifier():
    expected = hmac.new(
        bytes(range(32)), b"patient\x004711", hashlib.sha256
    ).hexdigest()
    assert KEY.patient("4711") == "P" + expected[:10]


def test_pseudonyms_have_their_form_and_padding_does_not_count():
    assert re.fullmatch(r"P[0-9a-f]{10}", KEY.patient("4711"))
    assert re.fullmatch(r"S[0-9a-f]{10}", KEY.study("1.2.3"))
    assert KEY.patient(" 4711 ") == KEY.patient("4711") != KEY.patient("4712")


def test_a_patient_and_a_study_of_the_same_text_do_not_share_digits():
    assert KEY.patient("1.2.3")[1:] != KEY.study("1.2.3")[1:]


def test_another_key_gives_other_pseudonyms():
    other = Pseudonyms(bytes(32))
    assert KEY.patient("4711") != other.patient("4711")


def test_dates_are_shifted_into_the_past_by_up_to_ten_years():
    days = {KEY.shift_days(str(number)) for number in range(500)}
    assert -3650 <= min(days) and max(days) <= -1
    assert len(days) > 400
    assert KEY.shift_days("7") == KEY.shift_days("7 ")


def test_names_that_are_not_unicode_have_pseudonyms_too():
    assert KEY.patient("M\udcfcller") != KEY.patient("Muller")


def test_the_key_is_made_once_and_is_the_owners_only(tmp_path):
    path = tmp_path / "new" / "pseudonyms.json"
    made = Pseudonyms.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(made.salt) == 32
    assert Pseudonyms.open(path) == made
    assert list(path.parent.iterdir()) == [path]
    assert Pseudonyms.open(tmp_path / "other.json") != made


def test_the_salt_is_not_shown():
    assert KEY.salt.hex() not in repr(KEY) and str(KEY.salt) not in repr(KEY)


def test_processes_that_make_the_key_at_once_agree(tmp_path):
    path = tmp_path / "key.json"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Pseudonyms.open(path).salt, range(8)))
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "no json",
        json.dumps({"format": "ultrasound_jax pseudonym key 1", "salt": "00"}),
        json.dumps({"format": "other", "salt": "00" * 32}),
        json.dumps({"format": "ultrasound_jax pseudonym key 1", "salt": 7}),
    ],
)
def test_what_is_no_key_is_refused_and_left_as_it_is(tmp_path, text):
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(InputError, match="key.json"):
        Pseudonyms.open(path)
    assert path.read_text() == text
