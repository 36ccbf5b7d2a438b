"""Statistics of sums over examples, in each replicate of the patient bootstrap.

Most numbers are made of sums over examples (how many, how many right, …). Summed by
patient once, they cost a small matrix product for all replicates together, so that
nothing here sees an example twice.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from ultrasound_jax.analysis.stats._parts import bootstrap, boundary_intervals
from ultrasound_jax.analysis.stats._parts.metrics import number


class Resampling:
    """The patients of a table, once as they are and then drawn anew.

    Row 0 of every result is the table itself, rows 1 to `replicates` are replicates.
    """

    def __init__(
        self,
        patient: Int[np.ndarray, " n"],
        *,
        replicates: int = bootstrap.REPLICATES,
        seed: int = 0,
    ) -> None:
        self.patient = patient
        self.patients = int(patient.max()) + 1 if len(patient) else 0
        drawn = bootstrap.draw_patients(
            max(self.patients, 1), replicates=replicates, seed=seed
        )[:, : max(self.patients, 1)]
        self.drawn = np.concatenate([np.ones_like(drawn[:1]), drawn]).astype(float)

    def by_patient(
        self, columns: Shaped[np.ndarray, "n j"]
    ) -> Float[np.ndarray, "p j"]:
        """Each column's sum over each patient's examples."""
        count = max(self.patients, 1)
        found = [np.bincount(self.patient, one, minlength=count) for one in columns.T]
        return np.array(found, float).reshape(-1, count).T

    def sums(self, columns: Shaped[np.ndarray, "n j"]) -> Float[np.ndarray, "r j"]:
        """Each column's sum over the table and over each replicate."""
        return self.drawn @ self.by_patient(columns)

    def contributors(self, column: Shaped[np.ndarray, " n"]) -> int:
        """How many patients have anything but zeros in a column."""
        return len(set(self.patient[np.asarray(column) != 0].tolist()))


def ratio(
    above: Float[np.ndarray, "..."], below: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Divides; NaN, that is not defined, where there is nothing to divide by."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    return np.divide(above, below, out=np.full(shape, np.nan), where=below != 0)


def estimate(
    name: str,
    values: Float[np.ndarray, " r"],
    *,
    patients: int,
    kind: str = "mean",
) -> dict[str, Any]:
    """A value and its 95 % interval under `name` and `<name>_ci`.

    The interval is null where fewer than two patients carry the number: resampling
    then says nothing about how patients differ. It is null, too, where all replicates
    are alike, but for shares of 0 and 1.

    Args:
        name: of the number.
        values: the table's own value and those of the replicates.
        patients: who carry the number, that is contribute to what it is divided by.
        kind: `mean`: percentiles. `share`: percentiles, but where every replicate is 0
            or 1 as the table is, the exact binomial interval of that many patients (see
            `boundary_intervals`): five patients without a miss do not prove that
            nothing is ever missed. `noise`, of a number that cannot be negative and
            that noise only makes larger: the basic bootstrap, cut at 0, for a replicate
            lies as far above the value as the value above the truth.
    """
    value = number(values[0])
    ends = bootstrap.interval(values[1:]) if patients >= 2 else None
    if value is None or ends is None:
        return {name: value, f"{name}_ci": None}
    low, high = ends.low, ends.high
    if kind == "share":
        found = boundary_intervals.interval(
            values[:1], values[1:, None], np.array([patients])
        )
        return {name: value, f"{name}_ci": found}
    if low == high:
        return {name: value, f"{name}_ci": None}
    if kind == "noise":
        low, high = max(2 * value - high, 0.0), max(2 * value - low, 0.0)
    return {name: value, f"{name}_ci": [low, high]}
