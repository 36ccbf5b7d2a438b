"""Single values out of a pydicom dataset; a malformed one counts as absent.

pydicom converts a value when it is asked for and may then raise almost anything. Its
words may quote the value, which may name a patient, so they are never passed on.
"""

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import Any

import pydicom.config
from pydicom.dataset import Dataset


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps pydicom's warnings, which may quote a patient's data, out of sight.

    The previous settings come back at the end. Not for use in several threads at once,
    as `warnings.catch_warnings` itself.
    """
    settings = pydicom.config.settings
    before = settings.reading_validation_mode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings.reading_validation_mode = pydicom.config.IGNORE
        try:
            yield
        finally:
            settings.reading_validation_mode = before


def is_given(dataset: Dataset, keyword: str) -> bool:
    """Whether the element stands there with a value, be it malformed."""
    element = dataset.get_item(keyword) if keyword in dataset else None
    found = None if element is None else element.value
    return bool(found.strip(b"\0 ")) if isinstance(found, bytes) else found is not None


def value(dataset: Dataset, keyword: str) -> Any:
    """The element's value, None where it is absent, empty or malformed."""
    try:
        found = dataset.get(keyword)
    except Exception:  # pydicom converts lazily; whatever it meets, the value is no use
        return None
    return None if found is None or found == "" else found


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """The finite numbers of an element, [] where one of them is not.

    Texts with a decimal comma, which some writers of continental Europe leave, are
    understood: `33,3`, and of several `33,3\\33,4`.
    """
    found = value(dataset, keyword)
    if found is None:
        return []
    several: Any = found if hasattr(found, "append") else [found]
    try:
        result = [_number(number) for number in several]
    except (TypeError, ValueError, OverflowError):
        return []
    return result if all(map(math.isfinite, result)) else []


def _number(stored: Any) -> float:
    if isinstance(stored, str) and stored.count(",") == 1 and "." not in stored:
        stored = stored.replace(",", ".")
    return float(stored)


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first number of an element, or None."""
    return next(iter(numbers(dataset, keyword)), None)


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The first number of an element if it is whole, or None."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def text(dataset: Dataset, keyword: str) -> str:
    """The element as one stripped line, "" where there is none."""
    found = value(dataset, keyword)
    if found is None:
        return ""
    try:
        return " ".join(str(found).replace("\0", " ").split())
    except Exception:  # a name in a broken character set
        return ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Every value of an element as one stripped line each, () where there is none."""
    found = value(dataset, keyword)
    several: Any = found if hasattr(found, "append") else [found]
    try:
        lines = [" ".join(str(one or "").replace("\0", " ").split()) for one in several]
    except Exception:  # a text in a broken character set
        return ()
    return tuple(line for line in lines if line)


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence, [] where it is absent or malformed."""
    found = value(dataset, keyword)
    try:
        return [item for item in found or [] if isinstance(item, Dataset)]
    except Exception:  # sequences are parsed when they are walked
        return []
