"""How many examples a batch has that operations would change."""

from ultrasound_jax.augment import Fields, Roles, _sampling


def count(fields: Fields, roles: Roles) -> int:
    """The rows of the fields that have pixels or masks; 0 if there are none."""
    for name, array in fields.items():
        if roles.get(name) in _sampling.SAMPLE:
            return array.shape[0]
    return 0
