"""AUROCs of several models in one class, with all that tells how sure they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.pairing import Paired
from ultrasound_jax.analysis.stats._parts import delong, paired_bootstrap
from ultrasound_jax.analysis.stats._parts.clustered import Influence, mean_spread
from ultrasound_jax.analysis.stats._parts.difference import of_spread
from ultrasound_jax.analysis.stats._parts.intervals import bounded_interval
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.spread import Spread, apart


class Estimates:
    """AUROCs of `s` models in one class or the macro, with all that they vary by.

    by_class: of the classes that the estimate is the mean of, NaN where not defined;
    aurocs: their mean. samples: the same as `by_class` in each bootstrap replicate.
    independent: covariance for independent clips, None where there is none. parts: of
    the patients in each class; empty where they allow no variance.
    """

    def __init__(
        self, by_class: Float[np.ndarray, "s k"], samples: Float[np.ndarray, "s r k"]
    ):
        self.by_class, self.samples = by_class, samples
        self.aurocs = by_class.mean(axis=1)
        self.independent: np.ndarray | None = None
        self.parts: list[Influence] = []

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
            found.parts = [part]
        if min(labels[known].sum(), (1 - labels[known]).sum()) >= 2:
            found.independent = delong.delong(*case)[1]
        return found

    @classmethod
    def of_macro(cls, parts: Sequence[Influence], samples: np.ndarray) -> "Estimates":
        """Estimates the mean over the classes that have these parts."""
        found = cls(np.stack([part.aurocs for part in parts], axis=1), samples)
        found.parts = list(parts)
        return found

    def spread(self, weights: dict[int, float]) -> Spread:
        """How sure the models' AUROCs are, taken together with these weights."""
        mixed = np.zeros(len(self.aurocs))
        mixed[list(weights)] = list(weights.values())
        return mean_spread(self.parts, mixed.tolist())

    def effective(self) -> float | None:
        """How many patients the class with the fewest is worth."""
        worth = [float(part.effective().min()) for part in self.parts]
        return min(worth, default=None)

    def refusal(self, s: int) -> str | None:
        """Why a model is not tested although there are patients on both sides."""
        spread = self.spread({s: 1.0, 0: -1.0})
        if spread.testable():
            return None
        return (
            "few patients have most of the examples: those of the rarer side are worth "
            f"{float(spread.effective):.1f} patients, which cannot tell a difference "
            "from chance"
        )

    def describe(self, s: int) -> dict[str, Any]:
        """One model's AUROC with its interval, over patients.

        `clustered_ci` is the same interval under the name that it had. DeLong's, for
        independent clips, is null where no clip errs: its variance is then zero.
        """
        value = number(self.aurocs[s])
        entry: dict[str, Any] = {"auroc": value, "ci": None}
        entry |= {"delong_ci": None, "clustered_ci": None}
        if value is None:
            return entry
        if self.independent is not None and self.independent[s, s] > 1e-24:
            ends = delong.normal_interval(value, self.independent[s, s])
            entry["delong_ci"] = [float(end) for end in ends]
        if self.parts:
            ends = bounded_interval(self.spread({s: 1.0}))
            entry |= {"ci": ends, "clustered_ci": ends}
        return entry

    def difference(self, s: int) -> dict[str, Any]:
        """Compares one model with the first.

        `ci` is the interval of the test that decides, and so is `clustered_ci`, its
        former name. Where nothing varies between patients, as between two models that
        never err, or where few have most of the examples, there is no test; the
        interval is then what those of the two AUROCs allow.
        """
        entry: dict[str, Any] = {
            "auroc_reference": number(self.aurocs[0]),
            "auroc": number(self.aurocs[s]),
            "difference": number(self.aurocs[s] - self.aurocs[0]),
        }
        entry |= dict.fromkeys(("ci", "clustered_ci", "delong_p", "clustered_p"))
        entry |= {"clustered_df": None, "bootstrap_p": None, "replicates_left_out": 0}
        entry["effective_patients"] = self.effective()
        two, places = self.aurocs[[s, 0]], np.ix_([s, 0], [s, 0])
        if self.independent is not None:
            entry["delong_p"] = delong.difference(two, self.independent[places]).p
        if not self.parts:
            return entry
        spread = self.spread({s: 1.0, 0: -1.0})
        found = of_spread(spread)
        ends = None if found.low is None else [found.low, found.high]
        if ends is None and spread.known():  # not tested
            single = np.array([self.spread({m: 1.0}).bounded() for m in (s, 0)])
            ends = list(apart(single[:, 0], single[:, 1], two))
        samples = (self.samples[s] - self.samples[0]).mean(axis=1)
        entry |= {
            "ci": ends,
            "clustered_ci": ends,
            "clustered_p": found.p,
            "clustered_df": found.df,
            "bootstrap_p": paired_bootstrap.p_value(samples),
            "replicates_left_out": int(np.isnan(samples).sum()),
        }
        return entry
