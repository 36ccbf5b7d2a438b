"""From clips to videos."""

from dataclasses import replace

import numpy as np

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.predictions import Predictions

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
    order of first appearance.
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
    return replace(chosen, example_id=chosen.video_id, labels=labels, scores=scores)
