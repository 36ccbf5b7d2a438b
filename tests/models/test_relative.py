"""Which row of a relative-position table a query and a key take."""

import zlib
from fractions import Fraction

import numpy as np

from tests.models.tiny_transformers import REFERENCE
from ultrasound_jax.models._parts.relative_positions import table_rows


def exact(queries, keys):
    """The same in exact arithmetic."""
    query_step = max(Fraction(keys, queries), Fraction(1))
    key_step = max(Fraction(queries, keys), Fraction(1))
    return [
        [int(q * query_step - (k + 1 - keys) * key_step) for k in range(keys)]
        for q in range(queries)
    ]


def test_rows_are_pytorchs_for_every_pair_of_lengths():
    wanted = REFERENCE["relative_rows"]
    sides = range(1, wanted["longest"] + 1)
    found = 0
    for queries in sides:
        for keys in sides:
            rows = table_rows(queries, keys).astype("<i4")
            found = zlib.crc32(rows.tobytes(), found)
    assert found == wanted["crc32"]


def test_rows_are_those_of_exact_arithmetic_for_every_small_grid():
    """On longer sides float32 cuts 24 of the 4,225 pairs one lower, as PyTorch does."""
    for queries in range(1, 20):
        for keys in range(1, 20):
            np.testing.assert_array_equal(
                table_rows(queries, keys), exact(queries, keys), f"{queries}, {keys}"
            )
