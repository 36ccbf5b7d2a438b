"""Moves one value inside a network, so that gradients with respect to it can be had."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core
from jaxtyping import Array

from ultrasound_jax.explain.errors import ExplainError


def pushed(
    function: Callable[..., dict[str, Any]], name: str, *inputs: Any
) -> Callable[[Array], dict[str, Any]]:
    """The function's outputs as a function of what is added to one of them.

    `function` returns a dict; what it returns under `name` it must also use for what
    else it returns, and the push is added before that use. The function is traced once
    and its program followed step by step: no hooks, and nothing kept in it.

    Raises:
        ExplainError: nothing else is computed from that value.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*inputs)
    names = jax.tree.leaves(
        {key: jax.tree.map(lambda _, key=key: key, s) for key, s in shapes.items()}
    )
    target = closed.jaxpr.outvars[names.index(name)]
    used = any(target is v for equation in closed.eqns for v in equation.invars)
    if not used:
        raise ExplainError(f"the network returns {name!r} and uses something else")
    leaves = jax.tree.leaves(inputs)
    structure = jax.tree.structure(shapes)

    def run(push: Array) -> dict[str, Any]:
        return jax.tree.unflatten(structure, _follow(closed, leaves, target, push))

    return run


def _follow(
    closed: core.ClosedJaxpr, inputs: list[Any], target: Any, push: Array
) -> list[Any]:
    """Evaluates a program; `target` is moved as soon as it is known."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(variable: Any) -> Any:
        literal = isinstance(variable, core.Literal)
        return variable.val if literal else values[variable]

    for equation in jaxpr.eqns:
        primitive = equation.primitive
        bound = primitive.get_bind_params(equation.params)
        # JAX before 0.10 gives the functions that a call takes apart from the rest.
        functions, params = bound if isinstance(bound, tuple) else ((), bound)
        out = primitive.bind(*functions, *map(read, equation.invars), **params)
        outs = out if primitive.multiple_results else [out]
        values |= dict(zip(equation.outvars, outs, strict=True))
        if target in equation.outvars:
            values[target] = values[target] + push
    return [read(variable) for variable in jaxpr.outvars]
