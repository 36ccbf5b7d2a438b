"""What a build of the POCUS set used, counted and left out: one page."""

import dataclasses
from collections import defaultdict
from typing import Any

from ultrasound_jax.datasets import frame_account
from ultrasound_jax.datasets.pocus.sheet import PATTERN_COLUMNS


@dataclasses.dataclass
class Summary:
    """Counts that grow as videos are cut; kept in the built set's metadata.

    videos: id of each video used -> its path below `pocus_videos`.
    skipped: files that could not be used, with the reason.
    label_notes: annotations and groups that could not be taken as they stand.
    file_notes: files that were used although something is wrong with them.
    frames: of each video what `frame_account.of_video` says.
    """

    videos: dict[str, str] = dataclasses.field(default_factory=dict)
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)
    label_notes: list[str] = dataclasses.field(default_factory=list)
    file_notes: list[str] = dataclasses.field(default_factory=list)
    frames: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    clips: int = 0
    _seen: dict[tuple[str, str, int], set[str]] = dataclasses.field(
        default_factory=lambda: defaultdict(set)
    )
    _clips: dict[tuple[str, int], int] = dataclasses.field(
        default_factory=lambda: defaultdict(int)
    )
    _patients: set[str] = dataclasses.field(default_factory=set)

    def add(self, video: dict[str, Any]) -> None:
        """Count a video, given by what `cut_video` tells of it."""
        video_id, patient, clips = (video[k] for k in ("video_id", "patient", "clips"))
        self.videos[video_id] = video["name"]
        self.clips += clips
        self._patients.add(patient)
        for pattern, label in zip(PATTERN_COLUMNS, video["labels"], strict=True):
            self._clips[pattern, label] += clips
            self._seen["videos", pattern, label].add(video_id)
            self._seen["patients", pattern, label].add(patient)
        self.file_notes += [f"{video['name']}: {note}" for note in video["notes"]]
        self.frames[video["name"]] = video

    def skip(self, file: str, reason: str) -> None:
        """Count a file that could not be used."""
        self.skipped.append({"file": file, "reason": reason})

    def as_metadata(self) -> dict[str, Any]:
        """The same as a JSON tree; `positives` and `unknown` count by pattern."""
        return {
            "videos": dict(self.videos),
            "skipped": list(self.skipped),
            "label_notes": list(self.label_notes),
            "file_notes": list(self.file_notes),
            "totals": {
                "clips": self.clips,
                "videos": len(self.videos),
                "patients": len(self._patients),
            },
            "positives": {p: self._count(p, 1) for p in PATTERN_COLUMNS},
            "unknown": {p: self._count(p, -1) for p in PATTERN_COLUMNS},
            **frame_account.account(self.frames.items()),
        }

    def as_text(self) -> str:
        """The page that a build ends with."""
        lines = [
            f"{len(self.videos)} videos of {len(self._patients)} patient groups give "
            f"{self.clips} clips; {len(self.skipped)} files skipped",
            f"{'positive in':<20}{'clips':>8}{'videos':>8}{'patients':>10}"
            f"{'videos not annotated':>22}",
        ]
        for pattern in PATTERN_COLUMNS:
            seen = self._count(pattern, 1)
            lines.append(
                f"{pattern:<20}{seen['clips']:>8}{seen['videos']:>8}"
                f"{seen['patients']:>10}{self._count(pattern, -1)['videos']:>22}"
            )
        lines += [f"skipped {skip['file']}: {skip['reason']}" for skip in self.skipped]
        lines += frame_account.shortened([f"note {n}" for n in self.file_notes])
        lines += [f"note {note}" for note in self.label_notes]
        lines += frame_account.lines(frame_account.account(self.frames.items()))
        return "\n".join(lines)

    def _count(self, pattern: str, label: int) -> dict[str, int]:
        return {
            "clips": self._clips.get((pattern, label), 0),
            "videos": len(self._seen.get(("videos", pattern, label), ())),
            "patients": len(self._seen.get(("patients", pattern, label), ())),
        }
