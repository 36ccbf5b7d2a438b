"""Which POCUS videos may show the same patient.

The set has no clean patient ids, so a group is the union of what could tell: the
sheet's patient column and series of file names. A group may join two patients; what
must not happen is that one patient is split over training and test.
"""

import re
from collections.abc import Hashable, Iterable
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.pocus.sheet import Row, key
from ultrasound_jax.media.grouping import join_names
from ultrasound_jax.runs.table_cells import read_table
from ultrasound_jax.types import InputError

# Names whose numbers count the clips of one patient: `Pneu_northumbria_0409_set2_vid3`,
# `Reg_pat1Image_132943`, `Pneu_liftl_pneu_case3_clip4`, `Cov-Atlas-Day+2`,
# `Cov_convex_volpecelli_sonographic_v1`. Sets are numbered anew for each diagnosis.
_SERIES = (
    re.compile(r"([a-z]+_northumbria_\d+_set\d+)"),
    re.compile(r"(reg_pat\d+)"),
    re.compile(r"(?:li[ft]+le?_).*?(case\d+)"),
    re.compile(r"(cov-atlas-day)"),
    re.compile(r"(.+_sonographic)_v\d+$"),
)
_NO_ID = {"", "nd", "n/a", "na", "none", "unknown", "?"}


def read_groups(path: Path) -> dict[str, str]:
    """Group of each file name of a `groups.csv` or `.xlsx`, by `sheet.key`.

    Raises:
        DatasetError: the columns `path` and `group` are not there, or a cell is blank.
    """
    try:
        table = read_table(path, ("path", "group"))
    except InputError as error:
        raise DatasetError(
            f"{path}: needs the columns path and group ({error})"
        ) from None
    if not table.rows or not {"path", "group"} <= set(table.heading):
        raise DatasetError(f"{path}: needs the columns path and group")
    places = [table.heading.index(name) for name in ("path", "group")]
    groups = {}
    for row in table.rows:
        name, group = (row[place].strip() for place in places)
        if not name or not group:
            raise DatasetError(f"{path}: a row lacks its path or its group")
        groups[key(name.rsplit("/", 1)[-1])] = group
    return groups


def derive_groups(names: Iterable[str], rows: list[Row]) -> dict[str, str]:
    """Groups `D001`, `D002`, ... from the sheet and the file names alone.

    Files with the same patient id or in the same series are joined, also through rows
    of files that are not at hand; a file without an id is joined to those that share
    its source URL too. Numbers follow the alphabetical order of each group's first
    file, so that the same files always get the same groups.

    Args:
        names: file names as `sheet.key` gives them.
        rows: the sheet.
    """
    evidence = {name: _series(name) for name in names}
    wanted = sorted(evidence)
    for row in rows:
        name = key(row["Filename"])
        links = evidence.setdefault(name, _series(name))
        patient = row.get("Patient ID / Name", "").strip().lower()
        source = row.get("URL (Video Name)", "").strip()
        if patient not in _NO_ID:
            links.append(("patient", patient))
        elif source.startswith("http"):
            links.append(("source", source))
    files = [("file", name) for name in wanted]
    pairs = [
        (("file", name), link) for name, links in evidence.items() for link in links
    ]
    group = join_names(files, pairs)
    return {name: f"D{group['file', name] + 1:03d}" for name in wanted}


def patient_groups(
    names: Iterable[str], rows: list[Row], groups_csv: Path
) -> tuple[dict[str, str], list[str]]:
    """Group of each file name, and a note on each that `groups_csv` does not list.

    A file that is not listed joins the listed group of a file that it is derived to
    belong with, or keeps its derived group.
    """
    derived = derive_groups(names, rows)
    if not groups_csv.is_file() and groups_csv.with_suffix(".xlsx").is_file():
        groups_csv = groups_csv.with_suffix(".xlsx")
    if not groups_csv.is_file():
        return derived, [f"no {groups_csv.name}: patient groups derived from the sheet"]
    listed = read_groups(groups_csv)
    known = {
        derived[name]: listed[name]
        for name in sorted(derived, reverse=True)
        if name in listed
    }
    notes = [
        f"{name}: not in {groups_csv.name}, its group is derived"
        for name in sorted(derived)
        if name not in listed
    ]
    chosen = {
        name: listed.get(name, known.get(group, group))
        for name, group in derived.items()
    }
    return chosen, notes


def _series(name: str) -> list[Hashable]:
    matches = (pattern.search(name) for pattern in _SERIES)
    return [("series", match.groups()) for match in matches if match]
