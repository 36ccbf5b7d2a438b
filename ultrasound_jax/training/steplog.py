"""Scalars of training steps, fetched from the device late and all at once."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array

from ultrasound_jax.training.console import Scalars
from ultrasound_jax.types import UltrasoundError

NOT_SCALARS = ("index", "loss_per_example")
Row = dict[str, float]


class TrainError(UltrasoundError):
    """Training that cannot go on."""


class StepLog:
    """What steps returned since the last row was written; it is saved with the state.

    Args:
        scalars: where rows go.
        example_id: of every place in the source.
        unwritten: what `to_json` gave, in a run that continues.
    """

    def __init__(
        self,
        scalars: Scalars,
        example_id: Sequence[str],
        unwritten: Sequence[Row] = (),
    ) -> None:
        self._scalars, self._example_id = scalars, example_id
        self._unread: list[tuple[int, dict[str, Array]]] = []
        self._unwritten = [dict(values) for values in unwritten]

    def add(self, step: int, terms: dict[str, Array]) -> None:
        """Keeps a step's terms without waiting for them."""
        self._unread.append((step, terms))

    def write(self, step: int, rate: float) -> dict[str, float]:
        """Writes a row with the means since the last one and the learning rate.

        Returns what is worth showing of it.
        """
        rows = self.to_json()
        if not rows:
            return {}
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        row = means | {"learning_rate": rate}
        self._scalars.write(step, {f"train/{k}": v for k, v in row.items()})
        self._unwritten.clear()
        return {k: v for k, v in means.items() if k != "grad_norm"} | {"rate": rate}

    def to_json(self) -> list[Row]:
        """Waits for the steps and returns what no row has told of yet.

        Raises TrainError for a loss that is not finite, before anything of such a step
        can be saved.
        """
        fetched = jax.device_get([terms for _, terms in self._unread])
        for (step, _), terms in zip(self._unread, fetched, strict=True):
            if not np.isfinite(terms["loss"]):
                raise TrainError(self._complaint(step, terms))
            self._unwritten.append(
                {k: float(v) for k, v in terms.items() if k not in NOT_SCALARS}
            )
        self._unread.clear()
        return [*self._unwritten]  # a copy: it is written to disk in the background

    def _complaint(self, step: int, terms: dict) -> str:
        ids = [str(self._example_id[i]) for i in terms["index"]]
        each = terms["loss_per_example"]
        bad = [i for i, x in zip(ids, each, strict=True) if not np.isfinite(x)]
        return (
            f"the loss is {terms['loss']} at step {step}; examples whose own loss is "
            f"not finite: {', '.join(bad or ids)}; only earlier steps were saved"
        )
