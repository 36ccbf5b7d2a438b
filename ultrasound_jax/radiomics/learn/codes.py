"""Features that another program computed of the same examples: an autoencoder's codes.

`.csv`: a column `example_id` and one a feature. `.npz`: arrays `example_id` (text) and
`codes` (`n f`).
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.runs.table_cells import read_table

KEY, CODES = "example_id", "codes"


def read_codes(
    path: Path, example_id: Sequence[str]
) -> tuple[tuple[str, ...], Float[np.ndarray, "n f"]]:
    """The names of the features, and the features of these examples.

    Raises:
        RadiomicsError: no such file, not as above, an example twice or not in it, or a
            value that is no finite number.
    """
    if path.suffix == ".npz":
        ids, names, values = _of_arrays(path)
    elif path.suffix == ".csv":
        ids, names, values = _of_sheet(path)
    else:
        raise RadiomicsError(f"{path}: allowed are .csv and .npz")
    place = {name: row for row, name in enumerate(ids)}
    if len(place) < len(ids):
        raise RadiomicsError(f"{path}: {len(ids) - len(place)} examples occur twice")
    if missing := [name for name in example_id if name not in place]:
        raise RadiomicsError(
            f"{path}: has no row of {len(missing)} examples, such as {missing[0]!r}"
        )
    found = values[[place[name] for name in example_id]]
    if not np.isfinite(found).all():
        raise RadiomicsError(f"{path}: has values that are not finite")
    return names, found


def _of_arrays(path: Path) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            ids, codes = stored[KEY], stored[CODES]
    except FileNotFoundError as error:
        raise RadiomicsError(f"{path}: there is no such file") from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RadiomicsError(f"{path}: has no arrays {KEY} and {CODES}") from error
    if ids.dtype.kind != "U" or codes.dtype.kind not in "uif":
        raise RadiomicsError(
            f"{path}: {KEY} is {ids.dtype}, {CODES} {codes.dtype}; allowed are text "
            "and numbers"
        )
    if ids.ndim != 1 or codes.shape[:1] != ids.shape or codes.ndim != 2:
        raise RadiomicsError(
            f"{path}: {KEY} is {ids.shape} and {CODES} {codes.shape}; allowed are n "
            "and n f"
        )
    names = tuple(f"code_{k:04d}" for k in range(codes.shape[1]))
    return ids.tolist(), names, codes.astype(np.float64)


def _of_sheet(path: Path) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    table = read_table(path, (KEY,))
    heading, rows = table.heading, table.rows
    if KEY not in heading or len(heading) < 2:
        raise RadiomicsError(f"{path}: has no column {KEY}, or no other column")
    key = heading.index(KEY)
    names = tuple(name for k, name in enumerate(heading) if k != key)
    width = len(heading)
    try:
        values = [
            [float(c) for k, c in enumerate(row[:width]) if k != key] for row in rows
        ]
    except ValueError as error:
        raise RadiomicsError(f"{path}: a cell that is no number: {error}") from error
    codes = np.array(values, np.float64).reshape(len(rows), len(names))
    return [row[key] for row in rows], names, codes
