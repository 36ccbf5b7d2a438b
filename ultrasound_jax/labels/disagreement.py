"""Where two annotators disagree: a table by pattern, and the videos in conflict."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass

import numpy as np

from ultrasound_jax.analysis.stats._parts.agreement import pair_measures
from ultrasound_jax.labels.findings import (
    COLUMNS,
    FINDINGS,
    PARTS,
)
from ultrasound_jax.labels.merge import Merged
from ultrasound_jax.labels.sheet import LabelRow

# What the sheets have columns for, and the target that two of these make up.
JUDGED = {**COLUMNS, "total_b_line": "total-B-line"}


@dataclass(frozen=True)
class Agreement:
    """A two-by-two table: how often both, one or neither says yes."""

    both: int = 0
    first_only: int = 0
    second_only: int = 0
    neither: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        counts = zip(astuple(self), astuple(other), strict=True)
        return Agreement(*(one + two for one, two in counts))

    @property
    def total(self) -> int:
        """How many were judged."""
        return sum(astuple(self))

    @property
    def observed(self) -> float | None:
        """The share on which they agree; None if nothing was judged."""
        return self._measure("agreement")

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where nothing was judged or chance explains all."""
        return self._measure("kappa")

    def _measure(self, name: str) -> float | None:
        value = float(pair_measures(np.array([astuple(self)], float))[name][0])
        return None if math.isnan(value) else value


@dataclass(frozen=True)
class Report:
    """The disagreement of two annotators.

    videos: agreement on whether a video shows a finding; frames: on which frames,
    over the videos whose frame count is known. uncounted: the videos where it is not.
    one_sided: findings that only one annotator has marked, by video. scores: rows
    whose written score is not that of their marks. not_annotated: of each finding, the
    videos that are left out of its tables, as a sheet says `?`.
    """

    merged: Merged
    videos: dict[str, Agreement]
    frames: dict[str, Agreement]
    uncounted: list[str]
    one_sided: dict[str, list[str]]
    scores: list[str]
    not_annotated: dict[str, list[str]]


def compare(merged: Merged) -> Report:
    """Compares what `merge` has paired."""
    pairs = merged.pairs
    videos, frames, unknown = {}, {}, {}
    for name in JUDGED:
        known = [pair for pair in pairs if not _is_unknown(pair, name)]
        unknown[name] = [
            one.video_id for one, two in pairs if _is_unknown((one, two), name)
        ]
        marks = [(_frames(one, name), _frames(two, name)) for one, two in known]
        videos[name] = of_pairs((bool(one), bool(two)) for one, two in marks)
        frames[name] = Agreement()
        for one, two in known:
            total = _count(one, two)
            if not total:
                continue
            frames[name] += of_sets(_frames(one, name), _frames(two, name), total)
    one_sided = {}
    for one, two in pairs:
        names = [
            f"{COLUMNS[name]} ({'first' if one.ranges[name] else 'second'} only)"
            for name in FINDINGS
            if bool(one.ranges[name]) != bool(two.ranges[name])
            and name not in one.unknown | two.unknown
        ]
        if names:
            one_sided[one.video_id] = names
    return Report(
        merged,
        videos,
        frames,
        uncounted=[one.video_id for one, two in pairs if not _count(one, two)],
        one_sided=one_sided,
        scores=[
            f"{which} sheet, {row.score_conflict}"
            for pair in pairs
            for which, row in zip(("first", "second"), pair, strict=True)
            if row.score_conflict
        ],
        not_annotated={name: videos for name, videos in unknown.items() if videos},
    )


def of_sets(first: set[int], second: set[int], total: int) -> Agreement:
    """The table of two sets of frames of a video that has `total` of them."""
    both, either = len(first & second), len(first | second)
    return Agreement(both, len(first) - both, len(second) - both, total - either)


def of_pairs(pairs: Iterable[tuple[bool, bool]]) -> Agreement:
    """The table of two judgements of each of several things."""
    found = Counter((bool(first), bool(second)) for first, second in pairs)
    places = ((True, True), (True, False), (False, True), (False, False))
    return Agreement(*(found[place] for place in places))


def _frames(row: LabelRow, name: str) -> set[int]:
    if name == "total_b_line":
        return row.pattern_frames["b_line"]
    return row.finding_frames[name]


def _is_unknown(pair: tuple[LabelRow, LabelRow], name: str) -> bool:
    """Whether a sheet says of the finding, or of a part of it, that it is unknown."""
    parts = PARTS["b_line"] if name == "total_b_line" else (name,)
    return any(part in row.unknown for row in pair for part in parts)


def _count(one: LabelRow, two: LabelRow) -> int:
    """Frames of the video; 0 if unknown, or if a mark lies beyond what a sheet says."""
    frames = max(one.frames or 0, two.frames or 0)
    marked = [row.finding_frames[name] for row in (one, two) for name in FINDINGS]
    return frames if max(max(m, default=0) for m in marked) <= frames else 0


def as_json(report: Report) -> str:
    """The report as a JSON file; a kappa that is not defined is null."""
    merged = report.merged
    tree = {
        "videos_compared": len(merged.pairs),
        "videos_merged": len(merged.rows),
        "agreement": {
            JUDGED[name]: {
                "videos": _figures(report.videos[name]),
                "frames": _figures(report.frames[name]),
            }
            for name in JUDGED
        },
        "conflicts": [asdict(conflict) for conflict in merged.conflicts],
        "conflicts_kept": merged.kept_conflicts,
        "marked_by_one": report.one_sided,
        "in_one_sheet_only": dict(merged.unpaired),
        "without_frame_count": report.uncounted,
        "score_mismatches": report.scores,
        "not_annotated": {JUDGED[n]: v for n, v in report.not_annotated.items()},
    }
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _figures(table: Agreement) -> dict[str, float | int | None]:
    return {**asdict(table), "agreement": table.observed, "kappa": table.kappa}


def as_markdown(report: Report) -> str:
    """The report as a page."""
    merged = report.merged
    lines = ["# Agreement of two annotators", "", f"{summary(report)}."]
    for level, tables in (("Videos", report.videos), ("Frames", report.frames)):
        lines += ["", f"## {level}", ""]
        lines += ["| finding | both | first only | second only | neither |"]
        lines[-1] += " agreement | Cohen's kappa |"
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [_line(JUDGED[name], tables[name]) for name in JUDGED]
        if level == "Frames" and report.uncounted:
            lines += [
                "",
                f"Without {len(report.uncounted)} videos of unknown length: give "
                f"--index, or a column `frames`: {', '.join(report.uncounted)}.",
            ]
    handled = "kept" if merged.kept_conflicts else "left out"
    kept = [f"{one.video_id}: {one.reason}" for one in merged.conflicts]
    lines += _section(f"Videos in conflict ({handled})", kept)
    lines += _section(
        "Findings that one annotator has marked",
        (f"{video}: {', '.join(names)}" for video, names in report.one_sided.items()),
    )
    lines += _section(
        "In one sheet only", (f"{name} ({side})" for name, side in merged.unpaired)
    )
    lines += _section("Scores that are not those of the marks", report.scores)
    if report.not_annotated:
        lines += _section(
            "Findings that a sheet says are not annotated, left out of their tables",
            (f"{JUDGED[n]}: {', '.join(v)}" for n, v in report.not_annotated.items()),
        )
    return "\n".join(lines) + "\n"


def _line(name: str, table: Agreement) -> str:
    cells = [table.both, table.first_only, table.second_only, table.neither]
    figures = [_figure(table.observed), _figure(table.kappa)]
    return f"| {' | '.join([name, *map(str, cells), *figures])} |"


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _section(title: str, entries: Iterable[str]) -> list[str]:
    entries = list(entries)
    return ["", f"## {title}: {len(entries)}", "", *(f"* {one}" for one in entries)]


def summary(report: Report) -> str:
    """One line for the console."""
    merged = report.merged
    handled = "kept" if merged.kept_conflicts else "left out"
    return (
        f"{len(merged.pairs)} videos compared, {len(merged.rows)} in the merged sheet; "
        f"{len(merged.conflicts)} in conflict ({handled}), {len(merged.unpaired)} in "
        f"one sheet only, {len(report.scores)} scores that differ from the marks"
    )


FORMATS: dict[str, Callable[[Report], str]] = {".json": as_json, ".md": as_markdown}
