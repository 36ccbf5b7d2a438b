"""One spelling of an id: without blanks around it, its letters composed (NFC).

A patient "p7" and a patient "P7 " are one person more often than two, and taking them
for two would put one person on both sides of a split and make intervals too short; so
ids that differ only in blanks or case are refused, and a person has to say what they
are.
"""

import unicodedata
from collections.abc import Iterable

from ultrasound_jax.analysis.errors import AnalysisError


def tidy(name: str) -> str:
    """An id without blanks around it, in Unicode's composed form (NFC)."""
    return (name if name.isascii() else unicodedata.normalize("NFC", name)).strip()


def check_spelling(names: Iterable[str], column: str) -> None:
    """Refuses ids that differ only in blanks or case.

    Raises:
        AnalysisError: names both and the column.
    """
    seen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        other = seen.setdefault("".join(name.split()).casefold(), name)
        if other != name:
            raise AnalysisError(
                f"{column} {other!r} and {name!r} differ only in blanks or case; "
                "allowed is one spelling of each"
            )
