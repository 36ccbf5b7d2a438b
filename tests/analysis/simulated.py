"""Predictions of a simulated study: clips of videos of patients who differ."""

from dataclasses import replace

import numpy as np

from ultrasound_jax.analysis.table.predictions import Predictions

CLASSES = ("a_line", "b_line", "consolidation", "pleural_effusion")


def simulate(
    rng: np.random.Generator,
    patients: int,
    *,
    split: str = "test",
    fold: int = 0,
    unknown: float = 0.05,
) -> Predictions:
    """Draws 1 to 5 videos a patient and 1 to 6 clips a video."""
    ids, labels, scores = [], [], []
    for p in range(patients):
        tendency = rng.normal(size=4) - np.array([0.3, 0.8, 1.2, 1.5])
        for v in range(rng.integers(1, 6)):
            for c in range(rng.integers(1, 7)):
                patient = f"{split}{fold}_p{p}"
                ids.append((f"{patient}_v{v}_c{c}", f"{patient}_v{v}", patient))
                truth = (rng.random(4) < 1 / (1 + np.exp(-tendency))).astype(float)
                logits = 1.5 * truth - 0.7 + rng.normal(size=4)
                scores.append(1 / (1 + np.exp(-logits)))
                labels.append(np.where(rng.random(4) < unknown, np.nan, truth))
    example, video, patient = zip(*ids, strict=True)
    return Predictions(
        example_id=example,
        video_id=video,
        patient_id=patient,
        fold=np.full(len(ids), fold),
        split=(split,) * len(ids),
        classes=CLASSES,
        labels=np.array(labels),
        scores=np.array(scores),
    )


def join(*tables: Predictions) -> Predictions:
    def columns(name: str) -> tuple[str, ...]:
        return sum((getattr(t, name) for t in tables), ())

    def arrays(name: str) -> np.ndarray:
        return np.concatenate([getattr(t, name) for t in tables])

    return replace(
        tables[0],
        example_id=columns("example_id"),
        video_id=columns("video_id"),
        patient_id=columns("patient_id"),
        split=columns("split"),
        fold=arrays("fold"),
        labels=arrays("labels"),
        scores=arrays("scores"),
    )


def without_positives(table: Predictions, k: int, split: str = "test") -> Predictions:
    """The same study in which nobody of a split has class `k`."""
    labels = table.labels.copy()
    rows = np.array([s == split for s in table.split])
    labels[rows, k] = np.where(np.isnan(labels[rows, k]), np.nan, 0.0)
    return replace(table, labels=labels)
