"""Labelling sheets: which frames of which video show what.

A cell holds nothing (the finding is absent; so do `-`, `none`, `no` and `n/a`), frame
ranges, 1-based and inclusive, between commas or semicolons: `5_30`, `5-30` or a single
`12` (LUV-Net; specification, section 1.2), or `?`: nobody has annotated it here.
Spreadsheet programs spoil such cells in known ways; what can only mean one thing is
understood (`12.0`, full-width or typographic commas and dashes, a comma at the end),
everything else is an error that names the cell. Nothing is guessed, least of all a
range that has become a date.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ultrasound_jax.labels.findings import (
    COLUMNS,
    FINDINGS,
    PATTERNS,
    SCORE_COLUMN,
    lung_score,
    of_patterns,
)
from ultrasound_jax.labels.sheet_cells import (
    Heading,
    SheetLine,
    read_lines,
)
from ultrasound_jax.types import InputError

__all__ = ["PATTERNS", "LabelRow", "format_ranges", "parse_ranges", "read_sheet"]

Range = tuple[int, int]
Parsed = TypeVar("Parsed")
ALLOWED = (
    "allowed are nothing, frames from 1 on as 5_30, 5-30 or 12, separated by commas, "
    "or ? for not annotated"
)
NOTHING_MARKED = ("-", "none", "no", "n/a")  # what people write for an empty cell
NOT_ANNOTATED = "?"
# No cine is that long, but a date that has become a number is larger.
LAST_FRAME = 20_000
_DASHES = "‐‑‒–—―−－﹣﹘"
_PLAIN = str.maketrans(
    {
        **dict.fromkeys(_DASHES, "-"),
        **dict.fromkeys("＿", "_"),
        **dict.fromkeys("，、﹐;；", ","),
        "？": "?",
        **dict.fromkeys("\u00a0\u3000\u2009\u202f", " "),
        **dict.fromkeys("\u200b\ufeff", None),
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
    }
)
_NUMBER = re.compile(r"\d{1,6}(\.0+)?", re.ASCII)
_SCORE = re.compile(r"([0-4])(\.0+)?(_[A-Za-z]+)*", re.ASCII)
_DATE = re.compile(
    r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|[년월일年月日]"
    r"|\d+[-/.]\d+[-/.]\d+|\d+[/:]\d+|^[12]\d{3}-\d\d$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class LabelRow:
    """What one annotator says about one video.

    video_id: as in the index, `<patient>_<file number in five digits>`.
    line: in the sheet, the heading being line 1.
    ranges: frames of each finding as written, 1-based and inclusive.
    score: `Lung Ultrasound Score` as written.
    unknown: findings that the sheet says are not annotated in this video.
    frames: of the video, where the sheet or the index tells.
    other: the sheet's other known columns, by their heading in `sheet_file.KEPT`.
    """

    video_id: str
    line: int
    ranges: Mapping[str, tuple[Range, ...]]
    score: str = ""
    frames: int | None = None
    other: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()

    @cached_property
    def finding_frames(self) -> dict[str, set[int]]:
        """Frame numbers of each finding."""
        return {name: frame_set(self.ranges.get(name, ())) for name in FINDINGS}

    @cached_property
    def pattern_frames(self) -> dict[str, set[int]]:
        """Frame numbers of each of the four targets."""
        return of_patterns(self.finding_frames)

    @property
    def present(self) -> tuple[str, ...]:
        """The findings that are marked anywhere."""
        return tuple(name for name in FINDINGS if self.ranges.get(name))

    @property
    def is_blank(self) -> bool:
        """Whether nothing is said: not even a score tells that somebody looked.

        Nor does a row of nothing but `?`; beside one `?` empty cells are absent.
        """
        silent = not self.unknown or len(self.unknown) == len(FINDINGS)
        return not self.present and not self.score and silent

    @property
    def score_conflict(self) -> str:
        """How the written score differs from that of the marked findings, or ""."""
        found = _SCORE.fullmatch(self.score)
        derived = lung_score(self.present)
        # A finding that is not annotated may be there.
        possible = {derived, *(lung_score([*self.present, n]) for n in self.unknown)}
        if found is None or int(found[1]) in possible:
            return ""
        return f"{self.video_id}: the sheet says {self.score}, its marks give {derived}"


def parse_ranges(cell: str) -> list[Range]:
    """The frame ranges of a cell, 1-based and inclusive, in the order written.

    Raises:
        InputError: the cell holds something else, or a range that ends before it starts
            or begins at 0.
    """
    text = cell.translate(_PLAIN).strip().removesuffix(",").strip()
    if not text or text.lower() in NOTHING_MARKED:
        return []
    if _DATE.search(text):
        raise _refused(
            cell,
            "this looks like a date that a spreadsheet program made of a range; "
            f"{ALLOWED}",
        )
    return [_parse_range(part, cell) for part in text.split(",")]


def is_unknown(cell: str) -> bool:
    """Whether a cell says that its finding is not annotated."""
    return cell.translate(_PLAIN).strip() == NOT_ANNOTATED


def _refused(cell: str, reason: str) -> InputError:
    return InputError(f"{cell.strip()[:40]!r}: {reason}")


def _parse_range(part: str, cell: str) -> Range:
    ends = [end.strip() for end in re.split("[_-]", part)]
    if len(ends) > 2 or not all(_NUMBER.fullmatch(end) for end in ends):
        raise _refused(cell, ALLOWED)
    start, end = int(float(ends[0])), int(float(ends[-1]))
    if start < 1:
        raise _refused(cell, "frames are counted from 1")
    if end < start:
        raise _refused(cell, "the range ends before it starts")
    if end > LAST_FRAME:
        raise _refused(
            cell,
            f"frames beyond {LAST_FRAME} are a date or a lost comma; {ALLOWED}",
        )
    return start, end


def parse_score(cell: str) -> str:
    """A score such as `0`, `2` or `3_c`, without the spreadsheet's spaces and `.0`.

    Raises:
        InputError: the cell holds something else.
    """
    text = cell.translate(_PLAIN).strip()
    if not text or text.lower() in (*NOTHING_MARKED, NOT_ANNOTATED):
        return ""
    found = _SCORE.fullmatch(text)
    if found is None:
        raise _refused(cell, "allowed are nothing, 0, 1, 2, 3, 3_c, 3_e and 4")
    return found[1] + text[found.end(2) if found[2] else found.end(1) :]


def frame_set(ranges: Iterable[Range]) -> set[int]:
    """The frame numbers of ranges, which may overlap."""
    return {frame for start, end in ranges for frame in range(start, end + 1)}


def ranges_of(frames: Iterable[int]) -> tuple[Range, ...]:
    """The fewest ranges that hold exactly these frames, in order."""
    ranges: list[Range] = []
    for frame in sorted(frames):
        if ranges and ranges[-1][1] == frame - 1:
            ranges[-1] = (ranges[-1][0], frame)
        else:
            ranges.append((frame, frame))
    return tuple(ranges)


def format_ranges(ranges: Iterable[Range]) -> str:
    """The cell that holds these ranges; never one that can be taken for a date."""
    return ",".join(f"{start}_{end}" for start, end in ranges)


def read_sheet(
    path: str | Path,
    *,
    frames: Mapping[str, int] | None = None,
    patient_name: Callable[[str], str] | None = None,
) -> list[LabelRow]:
    """The rows of a labelling sheet, in its order.

    A row is known by `video_id`, or by `PatientID` and `Data_idx`, or by the original's
    `study_id` (`<PatientID>_<Data_idx>`); all give `<patient>_<index in five digits>`.
    Columns that are not known are not read.

    Args:
        path: a csv or an Excel workbook, as `table_cells.read_table` takes them.
        frames: frame count of each video, to find ranges beyond a video's end; where
            it is absent the sheet's own `frames` column serves.
        patient_name: gives a `PatientID` that the sheet holds its pseudonym; rows with
            a `video_id` are taken as they are.

    Raises:
        InputError: not such a file, a column is missing, or wrong cells: all of them
            are listed at once, in one line.
    """
    path = Path(path)
    heading, lines = read_lines(path)
    problems: list[str] = []
    rows: list[LabelRow] = []
    seen: dict[str, int] = {}
    for line in lines:
        video_id = heading.video_id(line, patient_name, problems)
        if video_id in seen:
            problems.append(
                f"row {line.number}: the video of row {seen[video_id]} again"
            )
        if video_id:
            seen.setdefault(video_id, line.number)
            rows.append(_read_row(video_id, heading, line, frames or {}, problems))
    if problems:
        raise InputError(f"{path.name}: {_together(problems)}")
    return rows


def _together(problems: list[str], limit: int = 100) -> str:
    more = f"; and {len(problems) - limit} more" if len(problems) > limit else ""
    return "; ".join(problems[:limit]) + more


def _read_row(
    video_id: str,
    heading: Heading,
    line: SheetLine,
    counts: Mapping[str, int],
    problems: list[str],
) -> LabelRow:
    """The row, with what is wrong in any of its cells added to `problems`."""

    def parse(column: str, parser: Callable[[str], Parsed]) -> Parsed:
        try:
            return parser(heading.cell(line, column))
        except InputError as error:
            problems.append(f"row {line.number}, column {column}: {error}")
            return parser("")

    def marked(cell: str) -> tuple[Range, ...] | None:
        if is_unknown(cell):
            return None
        ranges = tuple(parse_ranges(cell))
        last = max((end for _, end in ranges), default=0)
        if total is not None and last > total:
            raise _refused(cell, f"the video has {total} frames")
        return ranges

    total = counts.get(video_id) or parse("frames", _parse_count)
    ranges = {name: parse(COLUMNS[name], marked) for name in FINDINGS}
    return LabelRow(
        video_id,
        line.number,
        ranges={name: found or () for name, found in ranges.items()},
        score=parse(SCORE_COLUMN, parse_score),
        frames=total,
        other=heading.kept(line),
        unknown=frozenset(name for name, found in ranges.items() if found is None),
    )


def _parse_count(cell: str) -> int | None:
    text = cell.strip()
    if text and not _NUMBER.fullmatch(text):
        raise _refused(cell, "allowed is a whole number of frames")
    return int(float(text)) if text else None
