"""Reads a csv of which no message may repeat a cell, since cells may be names."""

import csv
import io
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError

SEPARATORS = (",", ";", "\t")


def read_rows(path: Path) -> list[list[str]]:
    """All rows, cells without blanks around them.

    Separators are commas, semicolons or tabs: whichever parts the heading most. Excel's
    first line `sep=;` is not a row.

    Raises:
        DatasetError: not a csv of UTF-8 text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        heading, _, rest = text.lstrip("\r\n").partition("\n")
        said = heading.strip('\r"').lower()
        if said.startswith("sep=") and said[4:] in SEPARATORS:
            return _parsed(rest, said[4:])
        parts = {one: len((_parsed(heading, one) or [[]])[0]) for one in SEPARATORS}
        return _parsed(text, max(SEPARATORS, key=lambda one: parts[one]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path.name}: not a csv of UTF-8 text") from error


def _parsed(text: str, separator: str) -> list[list[str]]:
    file = io.StringIO(text, newline="")
    lines = csv.reader(file, delimiter=separator, strict=True)
    return [[cell.strip() for cell in line] for line in lines]
