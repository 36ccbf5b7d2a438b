"""Two annotators' sheets made one (LUV-Net; specification, sections 1.2 and 1.3).

`and` keeps the frames of a finding that both have marked (the original's version 1),
`or` those that at least one has marked (its version 2). A finding that either has not
annotated (`?`) is not annotated in what is made of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ultrasound_jax.labels.findings import (
    COLUMNS,
    FINDINGS,
    NOTHING,
    SCORE_COLUMN,
    score_text,
)
from ultrasound_jax.labels.sheet import (
    NOT_ANNOTATED,
    LabelRow,
    format_ranges,
    ranges_of,
)
from ultrasound_jax.runs.spreadsheet import people_csv
from ultrasound_jax.types import InputError

LOGICS = ("and", "or")
CONFLICTS = ("keep", "drop", "stop")
UNPAIRED = ("drop", "keep")
SHEET_COLUMNS = (
    *("video_id", "data_type", "frames", "Point Zone"),
    *COLUMNS.values(),
    *("Lung sliding", SCORE_COLUMN, "conflict"),
)

Frames = dict[str, set[int]]


@dataclass(frozen=True)
class Conflict:
    """A video of which the common frames cannot tell the truth.

    reason: as the original's reviewers had it: the labels differ, or a finding that
    both see has no frame in common.
    """

    video_id: str
    reason: str


@dataclass(frozen=True)
class Merged:
    """What merging two sheets gives.

    rows: the merged sheet. ignored: the same videos with the frames that only one
    annotator has marked. pairs: the rows that were compared. unpaired: videos in one
    sheet only, with which. conflicts: of all pairs, kept or not.
    """

    rows: list[LabelRow]
    ignored: list[LabelRow]
    pairs: list[tuple[LabelRow, LabelRow]]
    unpaired: list[tuple[str, str]]
    conflicts: list[Conflict]
    kept_conflicts: bool


def merge(
    first: Sequence[LabelRow],
    second: Sequence[LabelRow],
    *,
    logic: str,
    conflicts: str = "keep",
    unpaired: str = "drop",
) -> Merged:
    """Merges the sheets of two annotators, in the first one's order.

    Args:
        first: one annotator's rows; second: the other's.
        logic: `and` or `or`.
        conflicts: what becomes of videos in conflict: `keep` them as the logic makes
            them, `drop` them as the original did under `and`, or `stop`.
        unpaired: videos that only one sheet holds: `drop` them, since one annotator's
            word is neither version, or `keep` that word.

    Raises:
        InputError: the sheets have no video in common; or there are conflicts and they
            are to stop it: it names them.
    """
    others = {row.video_id: row for row in second}
    known = {row.video_id for row in first}
    pairs = [(row, others[row.video_id]) for row in first if row.video_id in others]
    if not pairs:
        raise InputError(
            f"the two sheets of {len(first)} and {len(second)} rows have no video in "
            "common; allowed are two sheets of the same videos"
        )
    alone = [(row, "first") for row in first if row.video_id not in others]
    alone += [(row, "second") for row in second if row.video_id not in known]
    found = [Conflict(one.video_id, _conflict(one, two)) for one, two in pairs]
    found = [conflict for conflict in found if conflict.reason]
    if found and conflicts == "stop":
        listed = "; ".join(f"{one.video_id}: {one.reason}" for one in found)
        raise InputError(f"{len(found)} videos are in conflict: {listed}")
    reasons = {conflict.video_id: conflict.reason for conflict in found}
    rows, ignored = [], []
    for one, two in pairs:
        reason = reasons.get(one.video_id, "")
        if reason and conflicts == "drop":
            continue
        rows.append(_merged(one, two, logic, reason))
        ignored.append(_one_sided(one, two))
    if unpaired == "keep":
        rows += [row for row, _ in alone]
    return Merged(
        rows,
        ignored,
        pairs,
        [(row.video_id, side) for row, side in alone],
        found,
        conflicts != "drop",
    )


def _conflict(one: LabelRow, two: LabelRow) -> str:
    """Why the intersection of the two is not to be trusted, or ""."""
    first, second = one.finding_frames, two.finding_frames
    known = [name for name in FINDINGS if name not in one.unknown | two.unknown]
    shared = [name for name in known if first[name] and second[name]]
    apart = [name for name in shared if not first[name] & second[name]]
    if apart:
        names = ", ".join(COLUMNS[name] for name in apart)
        return f"both mark {names}, with no frame in common"
    if not shared and any(first[name] or second[name] for name in known):
        return f"labels differ: {_names(one)} against {_names(two)}"
    return ""


def _names(row: LabelRow) -> str:
    return " and ".join(COLUMNS[name] for name in row.present) or "nothing"


def _merged(one: LabelRow, two: LabelRow, logic: str, conflict: str) -> LabelRow:
    first, second = one.finding_frames, two.finding_frames
    unknown = one.unknown | two.unknown
    frames: Frames = {
        name: first[name] & second[name]
        if logic == "and"
        else first[name] | second[name]
        for name in FINDINGS
    }
    frames |= {name: set() for name in unknown}
    present = [name for name in FINDINGS if frames[name]]
    looked = not present and not one.present and not two.present
    if unknown:
        score = ""  # what is not annotated may decide it
    elif present:
        score = score_text(present)
    elif looked and not (one.is_blank or two.is_blank):
        # Both say that they looked and marked nothing.
        score = one.score if one.score == two.score else str(NOTHING)
    else:
        score = ""
    other = {
        column: _common(one.other.get(column, ""), two.other.get(column, ""))
        for column in dict.fromkeys([*one.other, *two.other])
    }
    other["conflict"] = conflict
    row = _row(one, frames, score, other, one.frames or two.frames)
    return replace(row, unknown=unknown)


def _one_sided(one: LabelRow, two: LabelRow) -> LabelRow:
    first, second = one.finding_frames, two.finding_frames
    frames = {name: first[name] ^ second[name] for name in FINDINGS}
    frames |= {name: set() for name in one.unknown | two.unknown}
    return _row(one, frames, "", {}, one.frames or two.frames)


def _row(
    like: LabelRow, frames: Frames, score: str, other: dict[str, str], count: int | None
) -> LabelRow:
    ranges = {name: ranges_of(frames[name]) for name in FINDINGS}
    return LabelRow(like.video_id, like.line, ranges, score, count, other)


def _common(first: str, second: str) -> str:
    """What both say, or the only one who says anything; "" where they differ."""
    return first if first == second or not second else second if not first else ""


def sheet_text(rows: Iterable[LabelRow]) -> str:
    """Rows as a labelling sheet, which `read_sheet` reads back."""
    table: list[list[str]] = [list(SHEET_COLUMNS)]
    for row in rows:
        cells = {
            "video_id": row.video_id,
            SCORE_COLUMN: row.score,
            **{name: row.other.get(name, "") for name in _PASSED},
            **{COLUMNS[name]: _cell(row, name) for name in FINDINGS},
            "frames": "" if row.frames is None else str(row.frames),
        }
        table.append([cells[column] for column in SHEET_COLUMNS])
    return people_csv(table)


def _cell(row: LabelRow, name: str) -> str:
    if name in row.unknown:
        return NOT_ANNOTATED
    return format_ranges(row.ranges.get(name, ()))


_PASSED = ("data_type", "Point Zone", "Lung sliding", "conflict")
