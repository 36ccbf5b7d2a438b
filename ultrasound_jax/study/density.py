"""How well a trained network knows held-out examples that a candidate has changed.

Density matching (Lim et al., Fast AutoAugment, NeurIPS 2019, section 3): a policy is
good if what it makes of unseen examples still looks to the network like what it was
trained on, so that no candidate costs a training. Many candidates are judged by one
call: each example is changed by each candidate, and all go through the network as one
batch.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultrasound_jax.augment.policy import as_arrays, by_chance
from ultrasound_jax.augment.search.space import STAGES, Space, SubPolicy
from ultrasound_jax.data.dataset import batches_once
from ultrasound_jax.experiment import Experiment
from ultrasound_jax.training import compiling, sharding, steps
from ultrasound_jax.types import ArrayTree

Terms = dict[str, np.ndarray]  # term of the loss -> (total, weight) of each candidate
BEYOND = 2**31 + 1  # row keys: one that no stage has, nor the chance of the stages


class Density:
    """The losses of candidates on examples that are kept on the device.

    Args:
        experiment: whose task and network it is; the network is in its evaluation.
        space: what candidates are made of.
        at_once: candidates a call; the losses do not depend on it.
        seed: of what chance does to the examples, with the candidate's number.
    """

    def __init__(
        self, experiment: Experiment, space: Space, *, at_once: int, seed: int
    ) -> None:
        self._experiment, self._space = experiment, space
        self._at_once, self._seed = at_once, seed
        self._step = compiling.jit(self._losses)

    def held(self, places: np.ndarray) -> list[dict[str, jax.Array]]:
        """The batches of these examples, on the device."""
        experiment = self._experiment
        batches = batches_once(experiment.source, places, experiment.config.data)
        return [sharding.to_device(dict(b), experiment.mesh) for b in batches]

    def losses(
        self,
        weights: ArrayTree,
        held: Sequence[dict[str, jax.Array]],
        candidates: Sequence[list[SubPolicy]],
        *,
        first: int = 0,
    ) -> list[float]:
        """The loss of each candidate; candidates are numbered from `first`."""
        found: list[float] = []
        for at in range(0, len(candidates), self._at_once):
            some = candidates[at : at + self._at_once]
            filled = [*some, *[some[-1]] * (self._at_once - len(some))]
            numbers = jnp.arange(self._at_once) + first + at
            found += self._of(weights, held, filled, numbers)[: len(some)]
        return found

    def _of(
        self, weights: ArrayTree, held: Any, candidates: Any, numbers: jax.Array
    ) -> list[float]:
        tables = [as_arrays(c, self._space.names, STAGES) for c in candidates]
        arrays = [
            jnp.stack([getattr(table, part) for table in tables])
            for part in ("place", "probability", "magnitude")
        ]
        parts = [
            self._step(*weights, batch, jnp.int32(place), numbers, *arrays)
            for place, batch in enumerate(held)
        ]
        totals = jax.tree.map(
            lambda *each: np.sum(each, axis=0), *jax.device_get(parts)
        )
        means = [total / np.maximum(weight, 1.0) for total, weight in totals.values()]
        return np.sum(means, axis=0).astype(float).tolist()

    def _losses(
        self,
        params: ArrayTree,
        stats: ArrayTree,
        batch: dict[str, jax.Array],
        number: jax.Array,
        candidates: jax.Array,
        place: jax.Array,
        probability: jax.Array,
        magnitude: jax.Array,
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        task, many = self._experiment.task, len(candidates)
        fields = task.floats(batch)
        rows = len(batch["index"])

        def row_keys(candidate: jax.Array) -> jax.Array:
            key = jax.random.fold_in(jax.random.key(self._seed), candidate)
            return jax.random.split(jax.random.fold_in(key, number), rows)

        def which(key: jax.Array) -> jax.Array:
            key = jax.random.fold_in(key, BEYOND)
            return jax.random.randint(key, (), 0, place.shape[1])

        keys = jax.vmap(row_keys)(candidates).reshape(-1)
        drawn = jnp.repeat(jnp.arange(many), rows), jax.vmap(which)(keys)
        tiled = {
            name: jnp.broadcast_to(array, (many, *array.shape)).reshape(
                -1, *array.shape[1:]
            )
            for name, array in fields.items()
        }
        changed = by_chance(
            tiled,
            task.spec.roles,
            keys,
            self._space.known,
            place[drawn],
            probability[drawn],
            magnitude[drawn],
        )
        changed = jax.lax.optimization_barrier(changed)
        network = self._experiment.network
        outputs = steps.apply(network, params, stats, task.inputs(changed))
        steps.check_outputs(task, outputs, many * rows)

        def dealt(tree: dict[str, Any]) -> dict[str, jax.Array]:
            """What has a row for each example, the candidates first."""
            return {
                name: array.reshape(many, rows, *array.shape[1:])
                for name, array in tree.items()
                if getattr(array, "ndim", 0) and len(array) == many * rows
            }

        terms = jax.vmap(task.loss)(dealt(outputs), dealt(changed))
        return {name: (term.total, term.weight) for name, term in terms.items()}
