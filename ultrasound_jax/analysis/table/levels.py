"""From clips to videos."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.predictions import Predictions

LEVELS = ("clip", "video_mean", "video_max")


def at_level(predictions: Predictions, level: str) -> Predictions:
    """Returns the table at one of LEVELS: as it is, or one row a video."""
    if level not in LEVELS:
        raise AnalysisError(f"level '{level}' is not one of {', '.join(LEVELS)}")
    return predictions if level == "clip" else to_videos(predictions, level[6:])


def to_videos(predictions: Predictions, how: str) -> Predictions:
    """Joins the clips of a video, within a split of a fold, into one row.

    The score is the `mean` or `max` of the clips' scores. A pattern is present in the
    video if it is in any clip, absent if it is absent in all, and otherwise unknown: an
    unannotated clip might show it. `example_id` becomes the video's id; rows keep the
    order of first appearance. A cell of a further column is kept if it is the same in
    all clips of the video, and empty otherwise.
    """
    if how not in ("mean", "max"):
        raise AnalysisError(f"videos are joined by 'mean' or 'max', not by '{how}'")
    keys = list(
        zip(
            predictions.fold.tolist(),
            predictions.split,
            predictions.video_id,
            strict=True,
        )
    )
    number: dict[tuple[int, str, str], int] = {}
    video = np.array([number.setdefault(key, len(number)) for key in keys], int)
    first = np.unique(video, return_index=True)[1]
    for row, patient in enumerate(predictions.patient_id):
        if patient != predictions.patient_id[first[video[row]]]:
            raise AnalysisError(
                f"video {predictions.video_id[row]!r} is of more than one patient"
            )
    shape = (len(first), len(predictions.classes))
    scores = np.zeros(shape)
    if how == "mean":
        np.add.at(scores, video, predictions.scores)
        scores /= np.bincount(video, minlength=len(first))[:, None]
        # A mean of equal numbers may come out one bit above 1.
        scores = np.minimum(scores, 1.0)
    else:
        np.maximum.at(scores, video, predictions.scores)
    present, unknown = np.zeros(shape, bool), np.zeros(shape, bool)
    np.logical_or.at(present, video, predictions.labels == 1)
    np.logical_or.at(unknown, video, np.isnan(predictions.labels))
    labels = np.where(present, 1.0, np.where(unknown, np.nan, 0.0))
    chosen = predictions.rows(first)
    return replace(
        chosen,
        example_id=chosen.video_id,
        labels=labels,
        scores=scores,
        extra={
            name: _common(column, video, len(first))
            for name, column in predictions.extra.items()
        },
    )


def _common(
    column: Sequence[str], video: Int[np.ndarray, " n"], videos: int
) -> tuple[str, ...]:
    seen: list[set[str]] = [set() for _ in range(videos)]
    for cell, place in zip(column, video, strict=True):
        seen[place].add(cell)
    return tuple(cells.pop() if len(cells) == 1 else "" for cells in seen)
