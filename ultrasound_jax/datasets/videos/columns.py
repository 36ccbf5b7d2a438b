"""Which columns of a sheet are findings, which group videos, and what cells mean.

A column of nothing but yes and no is a finding; any other one groups videos. Options
say otherwise. A cell that may mean two things is a problem that names it.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ultrasound_jax.datasets.videos.options import VideosConfig, listed, renames
from ultrasound_jax.runs.table_cells import Table, plain
from ultrasound_jax.types import UNKNOWN

FILE = ("file", "filename", "file_name", "video", "video_file", "path")
PATIENT = ("patient", "patient_id", "patientid", "subject", "subject_id")
# With what spreadsheet programs of other countries write for TRUE and FALSE.
PRESENT = (
    *("1", "yes", "y", "true", "present", "positive", "pos", "ja", "oui"),
    *("wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "prawda"),
)
ABSENT = (
    *("0", "no", "n", "false", "absent", "negative", "neg", "nein", "nee", "non"),
    *("falsch", "faux", "falso", "onwaar", "fałsz"),
)
NOBODY_SAYS = ("", "?", "n/a", "na", "nan", "nd", "unknown", "not annotated")
ALLOWED = (
    "allowed are 1, yes, true, present; 0, no, false, absent; + and - where the column "
    "has no others; and nothing or ? for not annotated"
)
# Plain spellings of what our other datasets call otherwise.
_SAME = {
    "a_lines": "a_line",
    "b_lines": "b_line",
    "consolidations": "consolidation",
    "pleural_effusions": "pleural_effusion",
}
# Columns of scales and places: what they hold is no finding, even if it is 0 and 1.
_SCALE = re.compile(
    r"sever|score|grade|stage|zone|point|side|site|region|age|sex|gender|machine"
    r"|device|probe|transducer|hospital|centre|center|reader|visit|day|fold|count"
)
# Columns that tell who somebody is, or hold free text that may.
_PERSONAL = re.compile(
    r"\b(sur|first|last|fore|family|given|patient)?\s*names?\b|\bdob\b|birth|\bdates?\b"
    r"|\btimes?\b|\bmrn\b|accession|\bcomments?\b|\bremarks?\b|\bnotes?\b|address"
    r"|phone|e-?mail|\bids?\b|\buid\b|geburt|nachname|vorname|bemerkung|datum"
    r"|이름|성명|생년월일|등록번호|비고|姓名|出生|备注|电话",
    re.IGNORECASE,
)
_MONTH = (
    r"(jan(uary?|uar)?|feb(ruary?|ruar)?|m[aä]r(ch|z|s)?|apr(il)?|ma[iy]|june?|juni"
    r"|july?|juli|aug(ust)?|sept?(ember)?|o[ck]t(ober)?|nov(ember)?|de[cz](ember)?)"
)
_DATE = re.compile(
    r"\b(19|20)\d\d(-(0?[1-9]|1[0-2])\b|[-/.]\d{1,2}[-/.]\d{1,2}\b)"
    r"|\d{1,2}[-./] ?\d{1,2}[-./] ?\d{2,4}"
    r"|\b(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\b"
    rf"|\d[-. ]*{_MONTH}\b|\b{_MONTH}[-., ]*\d|\d{{4}} ?[년年]",
    re.IGNORECASE,
)
_TITLE = re.compile(
    r"((dr|prof)(\. ?| )|(mr|ms)\. ?|(mrs|herr|frau|mme)(\. ?| ))[^\W\d]", re.IGNORECASE
)
_LONGEST, _MOST = 40, 40  # letters of a group's value, and how many values it has
# Names that a record, or the table of predictions, has already.
_TAKEN = re.compile(
    r"clip|clip_length|labels|example_id|video_id|patient_id|study_id|start_frame"
    r"|source_(start|end)|frame_rate|pixel_mm|index|fold|split|(label|score)_.*"
    r"|(tp|fp|fn)_.*"
)


@dataclass(frozen=True)
class Column:
    """A column that is used: its name in records, heading and place in the sheet."""

    name: str
    heading: str
    place: int


@dataclass
class Columns:
    """What a sheet's columns are.

    findings, groups, grades: in the sheet's order. notes: what was decided that may be
    wanted otherwise; problems: what must be decided first.
    """

    file: int = -1
    patient: int = -1
    findings: list[Column] = field(default_factory=list)
    groups: list[Column] = field(default_factory=list)
    grades: list[Column] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def tidy(cell: str) -> str:
    """A cell's text without what cannot be seen, in plain letters and single blanks."""
    return " ".join(unicodedata.normalize("NFKC", cell).split())


def sort_columns(table: Table, config: VideosConfig) -> Columns:
    """Tells the columns apart; everything that is wrong is in `problems`."""
    found = Columns()
    heading = [tidy(name) for name in table.heading]
    called = {plain(old): new for old, new in renames(config.rename)}
    renamed = [called.get(plain(name), name) for name in heading]
    found.file = _the_one(renamed, FILE, heading, found.problems)
    if config.patient_from == "sheet":
        found.patient = _the_one(renamed, PATIENT, heading, found.problems)
    left_out = _named(heading, config.leave_out, "leave_out", found.problems)
    findings = _named(heading, config.findings, "findings", found.problems)
    groups = _named(heading, config.groups, "groups", found.problems)
    grades = _named(heading, config.grades, "grades", found.problems)
    for old in called.keys() - {plain(name) for name in heading}:
        found.problems.append(f"rename: the sheet has no column {old!r}")
    _check_widths(table, heading, found.problems)
    named = {plain(n) for n in PATIENT} if config.patient_from != "sheet" else set()
    for place, name in enumerate(heading):
        own = place in (found.file, found.patient) or plain(name) in named
        if not name or own or place in left_out:
            continue
        if place in grades:
            found.grades.append(Column(_name_of(name, called), name, place))
            continue
        cells = [tidy(row[place]) for row in table.rows]
        kind = _kind(name, cells, place, findings, groups, found, table)
        if kind is None:
            continue
        column = Column(_name_of(name, called), name, place)
        (found.findings if kind == "finding" else found.groups).append(column)
    if not found.findings and not found.grades and not found.problems:
        found.problems.append(
            "no column holds a finding: one needs 1 and 0, or yes and no, or is named "
            "by the option findings='…'; levels are named by grades='…'"
        )
    _check_names(found)
    return found


def _the_one(
    renamed: Sequence[str],
    names: Sequence[str],
    heading: Sequence[str],
    problems: list[str],
) -> int:
    """The place of the column with the first of these names that there is."""
    spelled = [plain(name) for name in renamed]
    for name in names:
        places = [p for p, one in enumerate(spelled) if one == plain(name)]
        if len(places) == 1:
            return places[0]
        if places:
            problems.append(f"the column {name} stands {len(places)} times")
            return places[0]
    problems.append(
        f"there is no column {names[0]}; the headings are "
        f"{', '.join(repr(name) for name in heading[:30] if name)}: "
        f"rename='… = {names[0]}' says which it is"
    )
    return -1


def _named(
    heading: Sequence[str], text: str, option: str, problems: list[str]
) -> set[int]:
    places = set()
    for name in listed(text):
        found = [p for p, one in enumerate(heading) if plain(one) == plain(name)]
        exact = [p for p, one in enumerate(heading) if one == tidy(name)]
        if not found:
            problems.append(f"{option}: the sheet has no column {name!r}")
        places |= set(exact or found)
    return places


def _check_widths(table: Table, heading: Sequence[str], problems: list[str]) -> None:
    for number, row in zip(table.numbers, table.rows, strict=True):
        for place, cell in enumerate(row):
            if cell.strip() and not (place < len(heading) and heading[place]):
                problems.append(
                    f"row {number}: {cell.strip()[:40]!r} stands in column "
                    f"{place + 1}, which has no heading"
                )


def _kind(
    name: str,
    cells: Sequence[str],
    place: int,
    findings: set[int],
    groups: set[int],
    found: Columns,
    table: Table,
) -> str | None:
    """`finding`, `group`, or None for a column that is not used, which is noted."""
    if place in findings:
        return "finding"
    if place in groups:
        return "group"
    filled = [cell for cell in cells if cell.lower() not in NOBODY_SAYS]
    if not filled and _has_formulas(table, place) and not _unfit(name, filled):
        return "group"  # whose cells are in doubt, which is refused
    if not filled:
        found.notes.append(f"column {name!r} is empty and was left out")
        return None
    odd = [
        (number, cell)
        for number, cell in zip(table.numbers, cells, strict=True)
        if _word(cell) not in (*PRESENT, *ABSENT, *NOBODY_SAYS, *"+-−–±")
    ]
    scale = bool(_SCALE.search(name.lower()))
    if not odd and not findings:
        if scale:
            found.notes.append(
                f"column {name!r} holds nothing but yes and no and is taken as a "
                f"finding; groups={name!r} makes it a group"
            )
        return "finding"
    # A slip of the pen must not turn a finding into a group without a word.
    numeric = all(re.fullmatch(r"\d+([.,]\d+)?", cell) for _, cell in odd)
    few = len(odd) == 1 or not numeric
    if not findings and not scale and few and 2 * len(odd) < len(filled):
        where = ", ".join(f"row {number}: {cell[:40]!r}" for number, cell in odd[:20])
        found.problems.append(
            f"column {name!r} looks like a finding, but {where}; {ALLOWED}; or say "
            f"groups={name!r}"
        )
        return None
    if why := _unfit(name, filled):
        found.notes.append(
            f"column {name!r} was left out, as {why}; groups={name!r} takes it"
        )
        return None
    words = sorted(set(filled))
    if not findings and not scale and len({w.lower() for w in words}) <= 2:
        if not any(re.search(r"\d", word) for word in words):
            held = " and ".join(repr(word) for word in words)
            found.notes.append(
                f"column {name!r} holds nothing but {held} and is taken as a group; a "
                f"finding needs 1 and 0, and groups={name!r} ends this note"
            )
    return "group"


def _has_formulas(table: Table, place: int) -> bool:
    return any(
        spot[1] == place and "is a formula" in why for spot, why in table.doubts.items()
    )


def _unfit(name: str, values: Sequence[str]) -> str:
    """Why a column may tell who somebody is, or is of no use as a group; or ""."""
    if _PERSONAL.search(name.replace("_", " ")):
        return "its heading speaks of names, dates, numbers or remarks"
    if any(_DATE.search(value) for value in values):
        return "it holds dates"
    if any(_TITLE.match(value) for value in values):
        return "it names persons"
    if any(len(value) > _LONGEST for value in values):
        return "it holds long texts"
    if len(set(values)) > _MOST:
        return f"it has {len(set(values))} different values"
    return ""


def _name_of(heading: str, called: Mapping[str, str]) -> str:
    given = called.get(plain(heading), heading)
    name = re.sub(r"\W+", "_", given.lower()).strip("_")
    return _SAME.get(name, name)


def _check_names(found: Columns) -> None:
    seen: dict[str, str] = {}
    for column in (*found.findings, *found.groups, *found.grades):
        if column.name in seen:
            found.problems.append(
                f"the columns {seen[column.name]!r} and {column.heading!r} would both "
                f"be called {column.name}; rename= or leave_out= one"
            )
        elif not column.name:
            found.problems.append(
                f"the heading {column.heading!r} has no letter; rename= it"
            )
        elif column not in found.findings and _TAKEN.fullmatch(column.name):
            found.problems.append(
                f"a record has a field {column.name} of its own; rename= or leave_out= "
                f"the column {column.heading!r}"
            )
        seen.setdefault(column.name, column.heading)


def label_of(cell: str, signs: bool) -> int | None:
    """1, 0 or -1 for a finding's cell; None where that cannot be told.

    Args:
        cell: as `tidy` gives it.
        signs: whether the column says + and -, so that a dash is an absent finding.
    """
    word = _word(cell)
    if word in NOBODY_SAYS:
        return UNKNOWN
    if word in PRESENT or (signs and word == "+"):
        return 1
    if word in ABSENT or (signs and word in ("-", "−", "–")):
        return 0
    return None


def _word(cell: str) -> str:
    """A cell in small letters; `1` for 1.0 or 1,0."""
    word = cell.lower()
    number = re.fullmatch(r"([01])[.,]0+", word)
    return number[1] if number else word


def says_signs(cells: Sequence[str]) -> bool:
    """Whether a column is written in + and - and nothing else."""
    words = {cell.lower() for cell in cells} - set(NOBODY_SAYS)
    return "+" in words and words <= set("+-−–")
