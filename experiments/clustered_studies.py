"""Simulated studies of patients with several clips, many at a time.

Patients have 6 to 18 clips each (`alike`), or the first of them has as many as all
others together (`dominant`), or few have many and many have few (`skewed`). They differ
in how often they show the pattern. A model scores a clip by the pattern's presence, by
what makes the clip look ill to every model (half of it the patient's), and by its own
error of variance 1. Of that error a share, the intraclass correlation (ICC), belongs to
the patient: the model likes or dislikes all his clips; between classes half of what is
the patient's is the same. `harder` is how much larger the first patient's errors are.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from ultrasound_jax.analysis.stats._parts.clustered import Influence

SIZES = ("alike", "dominant", "skewed")
COMMON, RARE = -0.5, -2.5  # log odds of the pattern in an average patient
_BOTH = 0.5  # how much of a score is what every model sees
_SPREAD = np.sqrt(2 * (2 * _BOTH**2 + 1))  # of a difference of two patients' scores


@dataclass(frozen=True)
class Kind:
    """What kind of study is drawn.

    separations: of the models, in standard deviations of their own error. share: ICC.
    """

    patients: int
    share: float
    separations: tuple[float, ...]
    sizes: str = "alike"
    log_odds: float = COMMON
    harder: float = 1.0
    classes: int = 1

    def clips(self) -> np.ndarray:
        """How many clips each patient has; the same in every study of the kind."""
        rng = np.random.default_rng([self.patients, SIZES.index(self.sizes)])
        if self.sizes == "skewed":
            drawn = np.exp(rng.normal(1.5, 1.0, self.patients))
            return np.maximum(np.round(drawn), 1).astype(int)
        clips = rng.integers(6, 19, size=self.patients)
        if self.sizes == "dominant":
            clips[0] = clips[1:].sum()
        return clips


@dataclass(frozen=True)
class Studies:
    """`r` studies: labels of `k` classes, scores of `s` models, whose clips."""

    labels: np.ndarray  # k r n
    scores: np.ndarray  # k s r n
    patient: np.ndarray  # n


def separation(auroc: float) -> float:
    """What makes a clip of one patient rank above one of another so often."""
    return float(stats.norm.ppf(auroc) * _SPREAD)


def draw(rng: np.random.Generator, kind: Kind, studies: int) -> Studies:
    """Draws studies; those in which a side is of one patient only are drawn anew."""
    clips = kind.clips()
    patient = np.repeat(np.arange(kind.patients), clips)
    labels, scores = [], []
    size = (studies, kind.patients)
    whole = (studies, len(patient))
    weight = np.ones(kind.patients)
    weight[0] = kind.harder
    shared = [rng.normal(size=size) for _ in kind.separations]
    for _ in range(kind.classes):
        labels.append(_labels(rng, kind, patient, studies))
        both = rng.normal(size=size)[:, patient] + rng.normal(size=whole)
        models = []
        for common, apart in zip(shared, kind.separations, strict=True):
            own = np.sqrt(0.5) * (common + rng.normal(size=size)) * weight
            error = np.sqrt(kind.share) * own[:, patient]
            error += np.sqrt(1 - kind.share) * rng.normal(size=whole)
            models.append(apart * labels[-1] + _BOTH * both + error)
        scores.append(np.stack(models))
    return Studies(np.stack(labels), np.stack(scores), patient)


def _labels(
    rng: np.random.Generator, kind: Kind, patient: np.ndarray, studies: int
) -> np.ndarray:
    found = np.zeros((studies, len(patient)))
    wanted = np.arange(studies)
    while len(wanted):
        often = rng.normal(size=(len(wanted), kind.patients))[:, patient]
        chance = special.expit(kind.log_odds + often)
        found[wanted] = rng.random(chance.shape) < chance
        present = [sums(found == side, patient) > 0 for side in (1, 0)]
        lacking = np.min([side.sum(axis=-1) for side in present], axis=0) < 2
        wanted = np.flatnonzero(lacking)
    return found


def sums(values: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """The sums of values `... n` over each patient."""
    return values @ np.eye(patient.max() + 1)[patient]


def influences(studies: Studies) -> list[Influence]:
    """The patients' parts in every class, as `clustered.influence` has them.

    Scores are continuous, so that none are equal.
    """
    found = []
    for labels, scores in zip(studies.labels, studies.scores, strict=True):
        order = np.argsort(scores, axis=-1)
        truth = np.take_along_axis(np.broadcast_to(labels, scores.shape), order, -1)
        positives, negatives = labels.sum(axis=-1), (1 - labels).sum(axis=-1)
        above = np.cumsum(1 - truth, axis=-1) / negatives[:, None]
        below = (positives[:, None] - np.cumsum(truth, axis=-1)) / positives[:, None]
        values = np.empty_like(scores)
        np.put_along_axis(values, order, np.where(truth == 1, above, below), -1)
        aurocs = (values * labels).sum(axis=-1) / positives
        parts = []
        for side, total in ((labels, positives), (1 - labels, negatives)):
            centred = (values - aurocs[..., None]) * side
            parts.append(sums(centred, studies.patient) / total[:, None])
        counts = [sums(side, studies.patient) for side in (labels, 1 - labels)]
        found.append(
            Influence(
                aurocs=aurocs,
                positive=parts[0],
                negative=parts[1],
                counts=np.stack(counts).astype(int),
            )
        )
    return found


def shares(
    rng: np.random.Generator, kind: Kind, share: float, studies: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hits and trials `r p` of a share whose latent errors have the kind's ICC."""
    clips = kind.clips()
    patient = np.repeat(np.arange(kind.patients), clips)
    latent = np.sqrt(kind.share) * rng.normal(size=(studies, kind.patients))[:, patient]
    latent += np.sqrt(1 - kind.share) * rng.normal(size=(studies, len(patient)))
    hits = sums((latent < stats.norm.ppf(share)).astype(float), patient)
    return hits, np.broadcast_to(clips, hits.shape)
