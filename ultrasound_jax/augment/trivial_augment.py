"""One primitive an example, drawn evenly, of a magnitude drawn evenly.

TrivialAugment (Müller and Hutter, ICCV 2021): nothing to be searched and no setting to
be found. Its `Color` does nothing on grey images, and stays in the draw as published.
"""

from collections.abc import Sequence

import jax
from jaxtyping import PRNGKeyArray

from ultrasound_jax.augment import (
    AugmentError,
    Fields,
    Operation,
    Roles,
    _mixture,
    _rows,
    primitives,
)

STRENGTHS = 31  # that a magnitude has, from 0 to 1
EXAMPLE = {"wide": False, "primitives": ["rotate", "shear_x", "translate_y"]}


def make(*, wide: bool = True, primitives: Sequence[str] | None = None) -> Operation:
    """The operation, in its wide ranges or those of RandAugment.

    `primitives` are those of the set to draw from, all by default: turning tones round
    (`solarize`) may be more than an ultrasound image bears.
    """
    if not isinstance(wide, bool):
        raise AugmentError(f"wide={wide!r} is not allowed: it must be true or false")
    found = _members("trivial_wide" if wide else "trivial", primitives)

    def operation(fields: Fields, roles: Roles, key: PRNGKeyArray) -> Fields:
        rows = _rows.count(fields, roles)
        which_key, strength_key, own = jax.random.split(key, 3)
        which = jax.random.randint(which_key, (rows, 1), 0, len(found))
        strength = jax.random.randint(strength_key, (rows, 1), 0, STRENGTHS)
        chosen = _mixture.Chosen(which, strength / (STRENGTHS - 1))
        keys = jax.random.split(own, rows)
        return _mixture.apply(fields, roles, keys, found, chosen)

    return operation


def _members(
    name: str, wanted: Sequence[str] | None
) -> tuple[primitives.Primitive, ...]:
    members = primitives.of_sets([name])
    known = [member.name for member in members]
    if wanted is None:
        return members
    if not isinstance(wanted, list | tuple) or not wanted or set(wanted) - set(known):
        raise AugmentError(
            f"primitives={wanted!r} is not allowed: it must be a list of some of "
            f"{', '.join(known)}"
        )
    return tuple(member for member in members if member.name in wanted)
