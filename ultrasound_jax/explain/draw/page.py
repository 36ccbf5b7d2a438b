"""All files that are written about one video."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.explain.draw.annotated_video import (
    attention_pictures,
    map_pictures,
    write_mp4,
)
from ultrasound_jax.explain.draw.curves import write_curves
from ultrasound_jax.explain.draw.strips import write_strip
from ultrasound_jax.explain.draw.style import unit_scale
from ultrasound_jax.explain.see.frame_weights import FrameWeights
from ultrasound_jax.explain.see.views import (
    ClipView,
    VideoView,
    enlarge,
    shows_where,
)
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv

_SEEN = {"train": "trained on it", "none": "of no split"}


@dataclass(frozen=True)
class Page:
    """What was seen in a video, and the folder for it, in which `clips` must be.

    chosen: the patterns to draw. top: frames to single out.
    """

    folder: Path
    view: VideoView
    chosen: tuple[int, ...]
    top: int

    def write(self, *, videos: bool) -> None:
        """Writes everything; `videos` says whether also what plays."""
        view, start = self.view, min(self.view.starts)
        weights, maps = view.weights(), view.maps()
        frames = view.frames()[start:]
        if weights is not None:
            cut = FrameWeights(weights.kind, weights.heads[..., start:], weights.shared)
            self._write_curves(frames, cut, start + 1, videos)
            self._write_table()
        if maps is not None:
            self._write_maps(frames, maps[:, start:], start + 1, videos)
        for clip in view.clips:
            self._write_clip(clip)
        self._write_about()

    def _title(self, what: str = "") -> str:
        footage = self.view.footage
        seen = _SEEN.get(footage.split, f"{footage.split} split")
        return f"{self.view.run}, video {footage.video_id} ({seen}){what}"

    def _common(self, first: int) -> dict[str, Any]:
        classes = self.view.footage.classes
        return {"classes": classes, "chosen": self.chosen, "first": first}

    def _write_curves(
        self, frames: np.ndarray, weights: FrameWeights, first: int, videos: bool
    ) -> None:
        view, marks = self.view, self.view.marks()
        judged: dict[str, Any] = {"scores": view.scores(), "labels": view.labels()}
        judged["marks"] = None if marks is None else marks[:, first - 1 :]
        write_curves(
            self.folder / "attention",
            weights,
            title=self._title(),
            frame_rate=view.footage.frame_rate,
            top=self.top,
            **self._common(first),
            **judged,
        )
        write_strip(
            self.folder / "top_frames",
            frames,
            weights.mean,
            title=self._title(f": frames of highest {weights.kind}"),
            top=self.top,
            **self._common(first),
        )
        if videos:
            pictures = attention_pictures(
                frames, weights, title=self._title(), **self._common(first), **judged
            )
            rate = view.footage.frame_rate
            write_mp4(self.folder / "attention.mp4", pictures, rate)

    def _write_maps(
        self,
        frames: np.ndarray,
        maps: Float[np.ndarray, "r t i j"],
        first: int,
        videos: bool,
    ) -> None:
        view, shown = self.view, _shown(maps, frames)
        common = {"map_kind": _grid(view.map_kind, maps), **self._common(first)}
        scores = view.scores()
        if len(maps) < len(scores):  # one map, which all patterns share
            scores = np.full(1, np.nan)
            common |= {"classes": ("all patterns",), "chosen": (0,)}
        write_strip(
            self.folder / "map",
            frames,
            shown.max((2, 3)),
            maps=shown,
            title=self._title(": strongest frames"),
            top=self.top,
            **common,
        )
        if videos:
            pictures = map_pictures(
                frames, shown, title=self._title(), scores=scores, **common
            )
            write_mp4(self.folder / "map.mp4", pictures, view.footage.frame_rate)

    def _write_clip(self, view: ClipView) -> None:
        clip, first = view.clip, view.clip.start + 1
        name = self.folder / "clips" / f"{clip.start:05d}"
        labels = np.where(clip.labels < 0, np.nan, clip.labels.astype(float))
        marks = None
        if clip.marks is not None:
            marks = np.where(clip.marks < 0, np.nan, clip.marks.astype(float)).T
        title = self._title(f", clip from frame {first}")
        if view.weights is not None:
            write_curves(
                name.with_name(f"{name.name}_attention"),
                view.weights,
                title=title,
                scores=view.scores,
                labels=labels,
                marks=marks,
                frame_rate=self.view.footage.frame_rate,
                top=self.top,
                **self._common(first),
            )
        maps, kind = None, self.view.map_kind
        if view.maps is not None:
            kind = _grid(kind, view.maps)
            shape = (len(view.scores), *view.maps.shape[1:])
            maps = _shown(np.broadcast_to(view.maps, shape), clip.frames)
        order = None if view.weights is None else view.weights.mean
        ranked = "" if view.weights is None else view.weights.kind
        if order is None and maps is not None:
            order, ranked = maps.max((2, 3)), self.view.map_kind
        if order is not None:
            write_strip(
                name.with_name(f"{name.name}_frames"),
                clip.frames,
                order,
                maps=maps,
                map_kind=kind,
                title=f"{title}: frames of highest {ranked}",
                top=self.top,
                **self._common(first),
            )

    def _write_table(self) -> None:
        header = ("example_id", "frame", "pattern", "head", "kind", "value")
        rows: list[tuple[Any, ...]] = [header]
        for view in self.view.clips:
            if view.weights is None:
                continue
            for (k, head, t), value in np.ndenumerate(view.weights.heads):
                if k in self.chosen:
                    name, frame = self.view.footage.classes[k], view.clip.start + t + 1
                    row = (view.clip.example_id, frame, name, head, view.weights.kind)
                    rows.append((*row, f"{value:.6g}"))
        write_whole(self.folder / "attention.csv", people_csv(rows))

    def _write_about(self) -> None:
        view, weights, maps = self.view, self.view.weights(), self.view.maps()
        about = {
            "run": view.run,
            "video_id": view.footage.video_id,
            "split": view.footage.split,
            "scores": {
                name: round(float(score), 6)
                for name, score in zip(view.footage.classes, view.scores(), strict=True)
            },
            "clips": [clip.clip.example_id for clip in view.clips],
            "curves": None if weights is None else weights.kind,
            "maps": view.map_kind or None,
            "map_cells": None if maps is None else maps.shape[2:],
            "maps_show_where": None if maps is None else shows_where(maps),
            "frame_labels": view.marks() is not None,
            "facts": provenance.facts(),
        }
        text = json.dumps(about, indent=2) + "\n"
        write_whole(self.folder / "about.json", text.encode())


def _shown(
    maps: Float[np.ndarray, "r t i j"], frames: np.ndarray
) -> Float[np.ndarray, "r t h w"]:
    """The maps as they are laid over the frames: 0-1, at their size."""
    size = (int(frames.shape[1]), int(frames.shape[2]))
    return np.stack([enlarge(each, size) for each in unit_scale(maps)])


def _grid(kind: str, maps: np.ndarray) -> str:
    """How the maps were made, and how fine they are."""
    note = "" if shows_where(maps) else ", too coarse to show where"
    return f"{kind} ({maps.shape[2]} × {maps.shape[3]} cells{note})"
