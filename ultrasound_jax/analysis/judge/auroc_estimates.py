"""AUROCs of several models in one class, with all that tells how sure they are."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.pairing import Paired
from ultrasound_jax.analysis.stats._parts import (
    bootstrap,
    boundary_intervals,
    delong,
    paired_bootstrap,
)
from ultrasound_jax.analysis.stats._parts.clustered import (
    Influence,
    macro,
)
from ultrasound_jax.analysis.stats._parts.metrics import number


class Estimates:
    """AUROCs of `s` models in one class or the macro, with all their covariances.

    by_class: of the classes that the estimate is the mean of, NaN where not defined;
    aurocs: their mean. samples: the same as `by_class` in each bootstrap replicate.
    independent, clustered: covariance for independent clips and for patients; None
    where there is none. df: degrees of freedom of a clustered test.
    """

    def __init__(
        self, by_class: Float[np.ndarray, "s k"], samples: Float[np.ndarray, "s r k"]
    ):
        self.by_class, self.samples = by_class, samples
        self.aurocs = by_class.mean(axis=1)
        self.independent: np.ndarray | None = None
        self.clustered: np.ndarray | None = None
        self.df = math.nan
        self.trials = np.zeros(by_class.shape[1], int)

    @classmethod
    def of_class(
        cls, paired: Paired, k: int, part: Influence | None, samples: np.ndarray
    ) -> "Estimates":
        """Estimates class `k`; `part` is None where patients allow no variance."""
        labels = paired.table.labels[:, k]
        known = ~np.isnan(labels)
        try:
            case = labels[known], paired.scores[:, known, k]
            aurocs = delong.placements(*case)[0].mean(axis=1)
        except AnalysisError:  # one class only; `reasons` says so
            return cls(np.full((len(paired.models), 1), np.nan), samples)
        found = cls(aurocs[:, None], samples)
        if part is not None:
            found.clustered, found.df = part.covariance(), part.df()
            found.trials = _trials([part])
        if min(labels[known].sum(), (1 - labels[known]).sum()) >= 2:
            found.independent = delong.delong(*case)[1]
        return found

    @classmethod
    def of_macro(cls, parts: Sequence[Influence], samples: np.ndarray) -> "Estimates":
        """Estimates the mean over the classes that have these parts."""
        found = cls(np.stack([part.aurocs for part in parts], axis=1), samples)
        _, found.clustered, found.df = macro(parts)
        found.trials = _trials(parts)
        return found

    def describe(self, s: int) -> dict[str, Any]:
        """One model's AUROC with its intervals.

        With perfect separation, in any class, nothing varies, and DeLong's variances
        say nothing: only the interval of `boundary_intervals` is left.
        """
        value = number(self.aurocs[s])
        entry: dict[str, Any] = {"auroc": value, "ci": None}
        entry |= {"delong_ci": None, "clustered_ci": None}
        if value is None:
            return entry
        perfect = bool(boundary_intervals.at_edge(self.by_class[s]).any())
        if self.independent is not None and not perfect:
            variance = self.independent[s, s]
            entry["delong_ci"] = _ends(delong.normal_interval(value, variance))
        if self.clustered is not None:
            variance = self.clustered[s, s]
            ends = delong.normal_interval(value, variance, self.df)
            entry["clustered_ci"] = None if perfect else _ends(ends)
            entry["ci"] = boundary_intervals.interval(
                self.by_class[s], self.samples[s], self.trials
            )
        return entry

    def difference(self, s: int) -> dict[str, Any]:
        """Compares one model with the first."""
        entry: dict[str, Any] = {
            "auroc_reference": number(self.aurocs[0]),
            "auroc": number(self.aurocs[s]),
            "difference": number(self.aurocs[s] - self.aurocs[0]),
        }
        entry |= dict.fromkeys(("ci", "clustered_ci", "delong_p", "clustered_p"))
        entry |= {"clustered_df": None, "bootstrap_p": None, "replicates_left_out": 0}
        two, places = self.aurocs[[s, 0]], np.ix_([s, 0], [s, 0])
        if self.independent is not None:
            entry["delong_p"] = delong.difference(two, self.independent[places]).p
        if self.clustered is not None:
            found = delong.difference(two, self.clustered[places], self.df)
            ends = None if found.low is None else [found.low, found.high]
            entry |= {"clustered_ci": ends, "clustered_p": found.p}
            samples = (self.samples[s] - self.samples[0]).mean(axis=1)
            interval = bootstrap.interval(samples)
            if interval is not None:
                entry["ci"] = [interval.low, interval.high]
            if boundary_intervals.at_edge(two).all():
                fewest = int(self.trials.min())
                own, other = (boundary_intervals.exact_interval(x, fewest) for x in two)
                ends = [own[0] - other[1], own[1] - other[0]]
                entry |= {"ci": ends, "clustered_ci": None}
            entry |= {
                "clustered_df": self.df,
                "bootstrap_p": paired_bootstrap.p_value(samples),
                "replicates_left_out": int(np.isnan(samples).sum()),
            }
        return entry


def _trials(parts: Sequence[Influence]) -> np.ndarray:
    return np.array(
        [boundary_intervals.pairs(*part.sides, part.patients) for part in parts]
    )


def _ends(ends: tuple[float, float]) -> list[float]:
    return [float(end) for end in ends]
