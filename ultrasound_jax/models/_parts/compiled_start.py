"""A network's first parameters, made by one compiled program.

Operation by operation a ResNet's take seconds, since each shape of each is compiled by
itself, and none of that is kept between runs.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import jax
from flax import nnx

from ultrasound_jax.models._parts.first_keys import first_keys

Program = tuple[Callable[[jax.Array], Any], list[Any]]  # and the graph that it traced

# Programs of this process by their key, the one used last at the end: folds and trials
# build one network over and over, and tracing it takes longer than running it.
_KEPT: OrderedDict[Hashable, Program] = OrderedDict()
_MOST_KEPT = 8


def compiled_start(
    build: Callable[[nnx.Rngs], nnx.Module], seed: int, key: Hashable = None
) -> nnx.Module:
    """The module that `build` makes with random numbers from `seed`.

    The seed is an argument of the program, so that the compilation cache serves every
    seed. A module whose constructor looks at the values of its parameters, as anybody's
    may, is made operation by operation.

    Args:
        build: makes the module; the same module for the same `key`.
        seed: of all its random numbers.
        key: what the module depends on beside the seed; with one, the program is kept
            for the next call with it.
    """
    program = _KEPT.pop(key, None) if key is not None else None
    run, graphs = program or _program(build)
    try:
        state = run(jax.random.key(seed))
    except jax.errors.JAXTypeError:
        return build(nnx.Rngs(seed))
    if key is not None:
        _KEPT[key] = run, graphs
        if len(_KEPT) > _MOST_KEPT:
            _KEPT.popitem(last=False)
    return nnx.merge(graphs[-1], state)


def _program(build: Callable[[nnx.Rngs], nnx.Module]) -> Program:
    graphs: list[Any] = []

    def make(key: jax.Array) -> Any:
        graph, state = nnx.split(build(first_keys(key)))
        graphs.append(graph)
        return state

    return jax.jit(make), graphs
