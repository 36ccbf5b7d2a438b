"""What a build of one's own videos used, counted and left out: one page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.data.population import FOUND, left_out
from ultrasound_jax.datasets import frame_account
from ultrasound_jax.datasets.beam.records import Fact, Skipped


def count(
    facts: Sequence[Fact],
    skipped: Sequence[Skipped],
    *,
    findings: Sequence[str],
    groups: Sequence[str],
    levels: Mapping[str, int],
    notes: Sequence[str],
) -> dict[str, Any]:
    """The metadata: totals, counts by finding and group, and what was left out."""
    videos = [fact.value for fact in facts]
    return {
        "totals": _totals(videos),
        "findings": {
            name: {
                said: _totals([v for v in videos if v["labels"][k] == label])
                for said, label in (("present", 1), ("absent", 0), ("unknown", -1))
            }
            for k, name in enumerate(findings)
        },
        "groups": {
            name: dict(sorted(Counter(v["groups"][name] for v in videos).items()))
            for name in groups
        },
        "levels": dict(levels),
        "grades": {
            name: _levels(videos, name, highest) for name, highest in levels.items()
        },
        "rows": {video["video_id"]: video["row"] for video in videos},
        "skipped": [{"file": one.name, "reason": one.reason} for one in skipped],
        FOUND: {
            "what": "rows of the sheet, and recordings without one",
            "files": len(videos) + sum(left_out(one.name) for one in skipped),
            "patients": None,
        },
        "notes": [*notes, *_one_sided(videos, findings)],
        **frame_account.account((_called(video), video) for video in videos),
        "file_notes": [f"{_called(v)}: {note}" for v in videos for note in v["notes"]],
    }


def _called(video: Mapping[str, Any]) -> str:
    return f"{video['video_id']} (row {video['row']})"


def _totals(videos: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {
        "clips": sum(video["clips"] for video in videos),
        "videos": len(videos),
        "patients": len({video["patient"] for video in videos}),
    }


def _levels(
    videos: Sequence[Mapping[str, Any]], name: str, highest: int
) -> dict[str, dict[str, int]]:
    """The totals of each level, and of videos that have none."""
    called = {str(level): level for level in range(highest + 1)} | {"unknown": -1}
    return {
        said: _totals([v for v in videos if v["grades"][name] == level])
        for said, level in called.items()
    }


def _one_sided(
    videos: Sequence[Mapping[str, Any]], findings: Sequence[str]
) -> list[str]:
    notes = []
    for k, name in enumerate(findings):
        labels = {video["labels"][k] for video in videos} - {-1}
        if len(labels) < 2:
            said = {0: "absent", 1: "present"}
            told = " or ".join(said[label] for label in labels) or "not annotated"
            notes.append(
                f"{name} is {told} in every video: nothing can be learnt or judged"
            )
    return notes


def as_text(metadata: Mapping[str, Any], folder: str) -> str:
    """The page that a build ends with, as Markdown."""
    totals, skipped = metadata["totals"], metadata["skipped"]
    lines = [
        "# What was built",
        "",
        f"{totals['videos']} videos of {totals['patients']} patients give "
        f"{totals['clips']} clips; {len(skipped)} entries skipped. Folder: {folder}. "
        "Pictures: contact_sheet.png.",
        "",
        "| finding | | clips | videos | patients |",
        "|---|---|---|---|---|",
    ]
    for name, counts in metadata["findings"].items():
        for said, seen in counts.items():
            cells = [name, said, *(str(number) for number in seen.values())]
            lines.append(f"| {' | '.join(cells)} |")
    if metadata["grades"]:
        lines += ["", "| grade | level | clips | videos | patients |"]
        lines.append("|---|---|---|---|---|")
    for name, counts in metadata["grades"].items():
        for said, seen in counts.items():
            cells = [name, said, *(str(number) for number in seen.values())]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| group | videos |", "|---|---|"]
    for name, values in metadata["groups"].items():
        shares = ", ".join(f"{value or 'blank'}: {n}" for value, n in values.items())
        lines.append(f"| {name} | {shares} |".replace("\n", " "))
    sections = (
        ("Notes", metadata["notes"]),
        ("Skipped", [f"{one['file']}: {one['reason']}" for one in skipped]),
        ("Frames and marks", frame_account.lines(metadata)),
        ("Files", metadata["file_notes"]),
    )
    for title, entries in sections:
        if entries:
            lines += ["", f"## {title}", "", *(f"* {entry}" for entry in entries)]
    return "\n".join(lines) + "\n"
