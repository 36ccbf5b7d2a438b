"""A network's first parameters, made by one compiled program.

Operation by operation a ResNet's take seconds, since each shape of each is compiled by
itself, and none of that is kept between runs.
"""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


def compiled_start(build: Callable[[nnx.Rngs], nnx.Module], seed: int) -> nnx.Module:
    """The module that `build` makes with random numbers from `seed`.

    The seed is an argument of the program, so that the compilation cache serves every
    seed. A module whose constructor looks at the values of its parameters, as anybody's
    may, is made operation by operation.
    """
    graphs = []

    def make(key: jax.Array) -> Any:
        graph, state = nnx.split(build(nnx.Rngs(key)))
        graphs.append(graph)
        return state

    try:
        state = jax.jit(make)(jax.random.key(seed))
    except jax.errors.JAXTypeError:
        return build(nnx.Rngs(seed))
    return nnx.merge(graphs[-1], state)
