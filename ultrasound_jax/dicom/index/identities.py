"""From what a header says of patient, scanner and moment to what may be kept of it."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.dicom.deid.devices import (
    manufacturer_name,
    model_name,
    transducer_name,
)
from ultrasound_jax.dicom.deid.people import (
    age_of,
    person_of,
    plain_name,
    sex_of,
)
from ultrasound_jax.dicom.deid.pseudonyms import Pseudonyms
from ultrasound_jax.dicom.read.particulars import from_json

_SECRET_SECONDS = 100_000_000  # three years


def digests_of(
    described: Mapping[str, Any], pseudonyms: Pseudonyms
) -> dict[str, str | int | float | None]:
    """Keyed digests by which persons and series are told, and the place in a series.

    The times count from a moment that is secret, another for each series.
    """
    known = from_json(described.get("particulars", {}))
    secret = int(pseudonyms.digest("clock", known.series_uid)[:12], 16)
    texts = {
        "name": plain_name(known.name, short=True),
        "person": person_of(known.name, known.birth_date),
        "series": known.series_uid,
    }
    times = {"acquired": known.acquired, "content": known.content}
    return {
        "instance": described.get("instance"),
        **{
            kind: text and pseudonyms.digest(kind, text) for kind, text in texts.items()
        },
        **{
            name: None if time is None else time - secret % _SECRET_SECONDS
            for name, time in times.items()
        },
    }


def words_of(described: Mapping[str, Any], pseudonyms: Pseudonyms) -> dict[str, str]:
    """What a row says of patient and scanner, in words that many share."""
    known = from_json(described.get("particulars", {}))
    probe = transducer_name(known.transducer, known.transducer_type, pseudonyms)
    return {
        "manufacturer": manufacturer_name(described["manufacturer"], pseudonyms),
        "model": model_name(described["model"], pseudonyms),
        "sex": sex_of(known.sex),
        "age": age_of(known.age, known.birth_date, described["study_date"]),
        "transducer": probe,
    }
