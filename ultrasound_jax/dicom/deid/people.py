"""Who somebody is, in words that many share: sex, years of age; and who is the same."""

import re
import unicodedata

from ultrasound_jax.dicom.read.particulars import as_date

SEXES = {"M": "M", "F": "F", "O": "O", "MALE": "M", "FEMALE": "F", "OTHER": "O"}
OLD, OLDEST = 90, "90+"  # from this age on years may name somebody (HIPAA, safe harbor)
_POSSIBLE = 125
_AGE = re.compile(r"(\d{1,3}) ?([DWMY])", re.ASCII | re.IGNORECASE)
_DAYS = {"D": 1, "W": 7, "M": 365.25 / 12, "Y": 365.25}
# Who is nobody, in capitals without what is between the letters.
NOBODY = {
    "",
    "ANON",
    "ANONYM",
    "ANONYMIZED",
    "ANONYMISED",
    "ANONYMOUS",
    "DEIDENTIFIED",
    "NONAME",
    "NONE",
    "PATIENT",
    "REMOVED",
    "UNKNOWN",
}
_NO_DECOMPOSITION = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "a", "œ": "o", "ı": "i", "þ": "th"}
)


def sex_of(text: str) -> str:
    """`M`, `F` or `O`, "" for anything else."""
    return SEXES.get(text.strip().upper(), "")


def age_of(age: str, birth_date: str, study_date: str) -> str:
    """Whole years at the examination, `90+` from 90 on, `0` below one, or "".

    What PatientAge says; without it, from the dates of birth and examination. More
    than 125 years are a mistake.
    """
    match = _AGE.fullmatch(age.strip())
    born, seen = as_date(birth_date), as_date(study_date)
    if match:
        years = int(int(match[1]) * _DAYS[match[2].upper()] / 365.25 + 1e-9)
    elif born and seen:
        years = seen.year - born.year
        years -= (seen.month, seen.day) < (born.month, born.day)
    else:
        return ""
    if not 0 <= years <= _POSSIBLE:
        return ""
    return OLDEST if years >= OLD else str(years)


def plain_name(name: str, *, short: bool = False) -> str:
    """A name without what differs between the ways in which people write it, or "".

    Case, accents, umlauts (ü is ue is u), hyphens, the order of family and given name;
    of a name in DICOM's components, family and given name only, and `short` the first
    of the given names. Names that stand for nobody are none.
    """
    group = next((part for part in name.split("=") if part.strip(" ^")), "")
    if "^" not in group:
        group = group.replace(",", "^", 1)
    family, *others = group.split("^")
    given = others[0].split() if others else []
    group = " ".join([family, *(given[:1] if short else given)])
    text = unicodedata.normalize("NFKD", group.casefold().translate(_NO_DECOMPOSITION))
    letters = "".join(c for c in text if not unicodedata.combining(c))
    for pair in ("ae", "oe", "ue"):
        letters = letters.replace(pair, pair[0])
    letters = re.sub(r"['’`´.]", "", letters)
    words = re.findall(r"[^\W_]+", letters)
    if "".join(words).upper() in NOBODY or not any(c.isalpha() for c in letters):
        return ""
    return " ".join(sorted(words))


def person_of(name: str, birth_date: str) -> str:
    """Name and date of birth, "" unless both are there."""
    plain, born = plain_name(name), as_date(birth_date)
    return f"{plain}/{born.isoformat()}" if plain and born else ""
