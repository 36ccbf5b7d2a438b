"""Decomposed relative positions (MViTv2, Li et al., CVPR 2022, section 4.1).

A query's dot product with the sum of three table rows, chosen by how far a key lies
from it in height, width and time, is added to their logit. That sum is one more dot
product, so queries and keys get additional features and attention itself stays plain.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def table_rows(queries: int, keys: int) -> Int[np.ndarray, "q k"]:
    """The row of a table of 2 max(q, k) - 1 for each pair along one axis.

    The shorter axis is spread over the longer one; a fraction is cut off. In float32
    and in this order, as the original has it: elsewhere 7 becomes 6.9999 and then 6.
    """
    query_step = np.float32(max(keys / queries, 1.0))
    key_step = np.float32(max(queries / keys, 1.0))
    query = np.arange(queries, dtype=np.float32)[:, None]
    key = np.arange(keys, dtype=np.float32) + np.float32(1 - keys)
    return (query * query_step - key * key_step).astype(np.int32)


def resized(table: Float[Array, "rows d"], rows: int) -> Float[Array, "{rows} d"]:
    """The table, linearly interpolated where it has another number of rows."""
    if table.shape[0] == rows:
        return table
    shape = (rows, table.shape[1])
    return jax.image.resize(table, shape, "linear", antialias=False)


def query_features(
    query: Float[Array, "b t h w heads d"],
    tables: tuple[Float[Array, "_ d"], Float[Array, "_ d"], Float[Array, "_ d"]],
    keys: tuple[int, int, int],
    steps: int,
) -> Float[Array, "b t h w heads e"]:
    """Each query's logit for every height, width and time of a key, side by side.

    `tables` are of height, width and time, `keys` the keys' (time, height, width).
    `steps` is the time that the network was built for: a shorter clip uses the middle
    of the time table, as a padded one would.
    """
    times, height, width = query.shape[1:4]
    rows = {
        "b": table_rows(height, keys[1]),
        "c": table_rows(width, keys[2]),
        "a": table_rows(steps, steps)[:times, : keys[0]],
    }
    sizes = (max(height, keys[1]), max(width, keys[2]), steps)
    parts = []
    for table, size, (axis, index) in zip(tables, sizes, rows.items(), strict=True):
        chosen = resized(table, 2 * size - 1)[index].astype(query.dtype)
        parts.append(jnp.einsum(f"zabchd,{axis}kd->zabchk", query, chosen))
    return jnp.concatenate(parts, -1)


def key_features(keys: tuple[int, int, int]) -> Float[np.ndarray, "m e"]:
    """What picks, for each key of a grid, its own height, width and time again."""
    times, height, width = np.indices(keys).reshape(3, -1)
    parts = [np.eye(keys[1])[height], np.eye(keys[2])[width], np.eye(keys[0])[times]]
    return np.concatenate(parts, -1).astype(np.float32)
