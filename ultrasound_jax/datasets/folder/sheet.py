"""The sheet beside the pictures: whose each one is, and of which class."""

from dataclasses import dataclass, field
from pathlib import Path

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.folder.files import SOURCES, Found
from ultrasound_jax.datasets.folder.options import FolderConfig
from ultrasound_jax.datasets.videos.columns import FILE as VIDEO_FILE
from ultrasound_jax.datasets.videos.columns import PATIENT
from ultrasound_jax.datasets.videos.files import Names
from ultrasound_jax.datasets.videos.options import renames
from ultrasound_jax.datasets.videos.sheet import NOBODY, together
from ultrasound_jax.runs.files import at_home
from ultrasound_jax.runs.table_cells import (
    SUFFIXES,
    Table,
    one_spelling,
    plain,
    read_table,
    told_if_joined,
)

NAMES = ("patients", "pictures")
HEADINGS = {
    "file": (*VIDEO_FILE, "image", "image_id", "picture", "picture_id", "img"),
    "patient": PATIENT,
    "class": ("class", "label", "diagnosis", "category"),
}


@dataclass
class Sheet:
    """What a sheet says, by picture.

    columns: which of `file`, `patient`, `class` it has. patients: one spelling each.
    rows: that name no picture here, by their number.
    """

    path: Path
    columns: tuple[str, ...] = ()
    patients: dict[Path, str] = field(default_factory=dict)
    classes: dict[Path, str] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_sheet(root: Path, config: FolderConfig) -> Path | None:
    """The sheet that is named, or `patients` or `pictures` in the folder.

    Raises:
        DatasetError: it is not there, two are, or one is needed and there is none.
    """
    if config.sheet:
        path = root / at_home(config.sheet)
        if not path.is_file():
            raise DatasetError(f"folder sheet={config.sheet!r}: {path} is no file")
        return path
    found = [
        root / f"{name}{ending}"
        for name in NAMES
        for ending in SUFFIXES
        if (root / f"{name}{ending}").is_file()
    ]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DatasetError(f"folder: {root} has {names}; say sheet={found[0].name!r}")
    if not found and config.wants_sheet:
        others = sorted(
            path.name
            for path in root.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.endswith(SOURCES)
        )
        hint = f"; it has {', '.join(others[:10])}: say sheet=…" if others else ""
        raise DatasetError(
            f"folder: no {' or '.join(f'{name}.csv' for name in NAMES)} (or .xlsx) in "
            f"{root}{hint}"
        )
    return found[0] if found else None


def read_sheet(path: Path, found: Found, config: FolderConfig) -> Sheet:
    """What the sheet says of the pictures that were found.

    Raises:
        DatasetError: what may mean two things, all of it in one line by row.
        InputError: it cannot be read as a table.
    """
    called = {plain(old): new for old, new in renames(config.rename)}
    wanted = [name for names in HEADINGS.values() for name in names]
    table = read_table(path, (*wanted, *called))
    places = _places(table, called, path)
    _check_columns(places, table, config, path)
    sheet = Sheet(path, tuple(places), notes=list(table.notes))
    names = Names.of(found.root, [picture.path for picture in found.pictures])
    used = set(places.values())
    problems = [
        f"row {number}: {why}"
        for (number, place), why in sorted(table.doubts.items())
        if place in used
    ]
    first: dict[Path, int] = {}
    for number, row in zip(table.numbers, table.rows, strict=True):
        cells = {name: row[place].strip() for name, place in places.items()}
        meant = names.meant(cells["file"]) if cells["file"] else []
        if not cells["file"]:
            problems.append(f"row {number}: names no file")
        elif len(meant) > 1:
            problems.append(
                f"row {number}: {cells['file'][:60]!r} may be {len(meant)} pictures; "
                "write its path in the folder"
            )
        elif not meant:
            sheet.rows.append(number)
        elif why := _take(sheet, meant[0], cells):
            problems.append(
                f"row {number}: the picture of row {first[meant[0]]}, {why}"
            )
        else:
            first.setdefault(meant[0], number)
    if problems:
        raise DatasetError(f"folder: {path.name}: {together(problems)}")
    spelled = (
        [row[places["patient"]] for row in table.rows] if "patient" in places else []
    )
    sheet.notes += told_if_joined(cell for cell in spelled if cell.strip())
    return sheet


def _places(table: Table, called: dict[str, str], path: Path) -> dict[str, int]:
    """Where each column stands that the sheet has."""
    known = {plain(name): key for key, names in HEADINGS.items() for name in names}
    known |= called
    missing = called.keys() - {plain(heading) for heading in table.heading}
    if missing:
        raise DatasetError(
            f"folder: {path.name} has no column {', '.join(sorted(missing))} as rename "
            f"says; its columns are {', '.join(table.heading)}"
        )
    found: dict[str, list[int]] = {}
    for place, heading in enumerate(table.heading):
        if key := known.get(plain(heading)):
            found.setdefault(key, []).append(place)
    for key, of_key in found.items():
        renamed = [p for p in of_key if plain(table.heading[p]) in called]
        if len(renamed or of_key) > 1:
            headings = " and ".join(repr(table.heading[p]) for p in of_key)
            raise DatasetError(
                f"folder: {path.name}: the columns {headings} may each be the {key}; "
                f"say rename='{table.heading[of_key[0]]} = {key}'"
            )
        found[key] = renamed or of_key
    return {key: of_key[0] for key, of_key in found.items()}


def _check_columns(
    places: dict[str, int], table: Table, config: FolderConfig, path: Path
) -> None:
    needed = ["file"]
    needed += ["patient"] if config.patient_from == "sheet" else []
    needed += ["class"] if config.class_from == "sheet" else []
    for key in needed:
        if key not in places:
            raise DatasetError(
                f"folder: {path.name} has no column {key} (or "
                f"{', '.join(HEADINGS[key][1:5])}); its columns are "
                f"{', '.join(table.heading)}: say rename='heading = {key}'"
            )


def _take(sheet: Sheet, path: Path, cells: dict[str, str]) -> str:
    """Keeps what a row says of a picture; or why that contradicts another row."""
    patient = cells.get("patient", "")
    if patient.lower() in NOBODY:
        patient = ""
    for kept, cell, spelling, what in (
        (sheet.patients, patient, one_spelling, "of another patient"),
        (sheet.classes, cells.get("class", ""), plain, "of another class"),
    ):
        if path in kept and spelling(kept[path]) != spelling(cell):
            return what
        kept.setdefault(path, cell)
    return ""
