"""What a build of lung-ultrasound clips used, counted and left out: one page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.data.population import BY_GROUP, FOUND
from ultrasound_jax.datasets import frame_account
from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.dicom.index.table import IndexRow
from ultrasound_jax.labels.findings import PATTERNS

# Of a video, as its index has them; `sex` and `transducer` are in the records.
KNOWN = ("age", "manufacturer", "model")


def found_in(index: Sequence[IndexRow]) -> dict[str, Any]:
    """What there was before anything was left out."""
    named = {row.patient_id for row in index if row.patient_id}
    return {
        "what": "DICOM files and videos in the index",
        "files": len(index),
        "patients": len(named),
        "not_usable": [row.video_id for row in index if not row.ok],
    }


def count(
    facts: Sequence[Fact],
    skipped: Sequence[Skipped],
    label_notes: Sequence[str],
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """The metadata: totals, counts by pattern, and what was left out."""
    videos = [fact.value for fact in facts]
    notes = [f"{v['video_id']}: {note}" for v in videos for note in v["notes"]]
    clips = [labels for video in videos for labels in video["labels"]]
    scores = Counter(score for video in videos for score in video["scores"])
    return {
        "totals": {
            "clips": len(clips),
            "videos": len(videos),
            "patients": len({video["patient_id"] for video in videos}),
        },
        "positives": {p: _having(videos, k, 1) for k, p in enumerate(PATTERNS)},
        "unknown": {p: _having(videos, k, -1) for k, p in enumerate(PATTERNS)},
        "scores": {str(score): scores[score] for score in sorted(scores)},
        "skipped": [{"file": one.name, "reason": one.reason} for one in skipped],
        "label_notes": list(label_notes),
        "file_notes": notes,
        FOUND: dict(found),
        BY_GROUP: {video["video_id"]: video["known"] for video in videos},
        **frame_account.account((video["video_id"], video) for video in videos),
    }


def _having(videos: list[dict[str, Any]], column: int, label: int) -> dict[str, int]:
    found = [
        (video, sum(labels[column] == label for labels in video["labels"]))
        for video in videos
    ]
    return {
        "clips": sum(number for _, number in found),
        "videos": sum(number > 0 for _, number in found),
        "patients": len({video["patient_id"] for video, number in found if number}),
    }


def as_text(metadata: dict[str, Any]) -> str:
    """The page that a build ends with."""
    totals, skipped = metadata["totals"], metadata["skipped"]
    lines = [
        f"{totals['videos']} videos of {totals['patients']} patients give "
        f"{totals['clips']} clips; {len(skipped)} files skipped",
        f"{'present in':<20}{'clips':>8}{'videos':>8}{'patients':>10}"
        f"{'clips unknown':>16}",
    ]
    for pattern, seen in metadata["positives"].items():
        lines.append(
            f"{pattern:<20}{seen['clips']:>8}{seen['videos']:>8}{seen['patients']:>10}"
            f"{metadata['unknown'][pattern]['clips']:>16}"
        )
    lines += [f"skipped {one['file']}: {one['reason']}" for one in skipped]
    lines += frame_account.shortened([f"note {n}" for n in metadata["file_notes"]])
    lines += [f"note {note}" for note in metadata["label_notes"]]
    return "\n".join(lines + frame_account.lines(metadata))
