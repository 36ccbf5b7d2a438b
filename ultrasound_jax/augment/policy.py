"""A policy's sub-policies, one drawn for each example: of a search, or of one's own.

A policy is JSON, `{"ranges": ["fast"], "sub_policies": [[[NAME, PROBABILITY,
MAGNITUDE], …], …]}`: a sub-policy is a list of primitives that follow each other, each
with its probability and its magnitude from 0 to 1, and `ranges` are the sets of
`primitives.SETS` that say what magnitudes mean, the first that has the primitive. One
that was searched has `folds` in place of `sub_policies`: those of each fold, with the
`split` that the folds are of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from ultrasound_jax.augment import (
    AugmentError,
    Fields,
    Operation,
    Roles,
    _mixture,
    _policy_file,
    _rows,
    primitives,
)
from ultrasound_jax.augment.primitives import Primitive
from ultrasound_jax.data.spec import COPY
from ultrasound_jax.types import Settings

MODES = ("one", "all")
BEYOND = 2**31  # a stage's key is its number: chance has one that no stage has
EXAMPLE = {
    "policy": {
        "ranges": ["trivial"],
        "sub_policies": [
            [["rotate", 1.0, 0.5], ["autocontrast", 0.5, 0.0]],
            [["shear_y", 0.7, 0.8], ["translate_x", 0.7, 1.0]],
        ],
    }
}


def make(
    *,
    file: str = "",
    policy: Mapping[str, Any] | None = None,
    mode: str = "one",
    data: Settings | None = None,
) -> Operation:
    """The operation.

    Args:
        file: the policy's; what it says is kept in the run's own settings.
        policy: what would stand in the file.
        mode: `one`: each example, each time it is drawn, is left as it is or gets one
            of the sub-policies, all alike probable. `all`: an epoch has every example
            once as it is and once by each sub-policy, as the published system does: it
            takes as many times longer (21 times with 20 sub-policies).
        data: given by the program, `config.data`: the fold that is trained.

    Raises:
        AugmentError: the file is no policy, or was not searched for this fold.
    """
    if mode not in MODES:
        raise AugmentError(
            f"mode={mode!r} is not allowed: it must be {' or '.join(MODES)}"
        )
    content = _policy_file.checked(file, policy)
    sub_policies = _policy_file.of_fold(content, data, file)
    names = sorted({name for sub in sub_policies for name, _, _ in sub})
    known = tuple(primitives.find(name, content["ranges"]) for name in names)
    table = as_arrays(sub_policies, names, max(map(len, sub_policies)))
    return Policy(known, table, copies=table.rows + 1 if mode == "all" else 1)


def completed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with what the file says, so that a run needs it no more."""
    given = dict(options)
    if given.get("policy") is None and given.get("file"):
        given["policy"] = _policy_file.checked(given["file"], None)
    return given


@dataclass(frozen=True)
class SubPolicies:
    """Sub-policies as arrays `rows stages`; short ones end with NOTHING."""

    place: np.ndarray
    probability: np.ndarray
    magnitude: np.ndarray

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.place)


def as_arrays(
    sub_policies: Sequence[Any], names: Sequence[str], stages: int
) -> SubPolicies:
    """Sub-policies of so many stages; a place is that of the name in `names`."""
    shape = len(sub_policies), stages
    place = np.full(shape, _mixture.NOTHING, np.int32)
    probability, magnitude = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for row, sub in enumerate(sub_policies):
        for stage, (name, chance, strength) in enumerate(sub):
            place[row, stage] = names.index(name)
            probability[row, stage], magnitude[row, stage] = chance, strength
    return SubPolicies(place, probability, magnitude)


@dataclass(frozen=True)
class Policy:
    """One of the sub-policies, or none, for each example.

    `copies` is how often an epoch has every example; where it is more than once, the
    field `copy` says which of the sub-policies a row gets, 0 for none.
    """

    primitives: tuple[Primitive, ...]
    table: SubPolicies
    copies: int = 1

    def __call__(self, fields: Fields, roles: Roles, key: PRNGKeyArray) -> Fields:
        """The fields, each example by the sub-policy that was drawn for it."""
        rows = _rows.count(fields, roles)
        which_key, own = jax.random.split(key)
        if self.copies > 1:
            which = fields[COPY]
        else:
            which = jax.random.randint(which_key, (rows,), 0, self.table.rows + 1)
        none = (np.array(part) for part in (_mixture.NOTHING, 0.0, 0.0))
        parts = (self.table.place, self.table.probability, self.table.magnitude)
        place, probability, magnitude = (
            jnp.asarray(np.pad(part, ((1, 0), (0, 0)), constant_values=value))[which]
            for part, value in zip(parts, none, strict=True)
        )
        steps = place, probability, magnitude
        keys = jax.random.split(own, rows)
        return by_chance(fields, roles, keys, self.primitives, *steps)


def by_chance(
    fields: Fields,
    roles: Roles,
    keys: Key[Array, " b"],
    known: tuple[Primitive, ...],
    place: Int[Array, "b stages"],
    probability: Float[Array, "b stages"],
    magnitude: Float[Array, "b stages"],
) -> Fields:
    """The fields, each stage of an example's sub-policy taken with its probability.

    `place` is that in `known`; all that chance decides of a row follows from its key.
    """

    def uniform(key: PRNGKeyArray) -> Float[Array, " stages"]:
        return jax.random.uniform(jax.random.fold_in(key, BEYOND), place.shape[1:])

    there = jax.vmap(uniform)(keys) < probability
    chosen = _mixture.Chosen(jnp.where(there, place, _mixture.NOTHING), magnitude)
    return _mixture.apply(fields, roles, keys, known, chosen)
