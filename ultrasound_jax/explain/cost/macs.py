"""Counts the multiply-accumulates of a program from its jaxpr, without running it.

Counted are convolutions and matrix products, nothing else: that is what publications
call a network's MACs (and often, wrongly, its FLOPs, which are twice as many). Norms,
activations and sums over the picture are left out. Depth-wise convolutions, which
MViT and X3D write as sums of products (`models.depthwise`), count as the convolutions
that they are.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import partial_eval

from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.models._parts import depthwise, depthwise_up

PRODUCTS = ("conv_general_dilated", "dot_general")
DEPTHWISE = (depthwise.NAME, depthwise_up.NAME)  # how these begin


@dataclass(frozen=True)
class Product:
    """A convolution or a matrix product, by its shapes and options alone.

    Two of the same kind are equal, so that each is looked at once.
    """

    primitive: str
    shapes: tuple[tuple[tuple[int, ...], str], ...]
    params: str


@dataclass(frozen=True)
class Count:
    """What a program multiplies.

    macs: every tap of every kernel, those on zero padding included, as published counts
    have it. inside: without those, as XLA counts. convolutions: the share of `macs` in
    them. products: how often each kind of product is done, with one equation of it.
    """

    macs: int
    inside: int
    convolutions: int
    products: tuple[tuple[Any, int], ...]


def count_macs(function: Callable, *arguments: Any) -> Count:
    """Counts a function of arrays or `jax.ShapeDtypeStruct`s.

    The body of a `scan` counts as often as it runs; of the branches of a `cond` the
    costliest counts.

    Raises:
        ExplainError: a `while` loop, whose rounds nobody knows beforehand; the gradient
            of a depth-wise convolution that is written as a sum.
    """
    whole = jax.make_jaxpr(function)(*arguments).jaxpr
    # What nobody reads is dropped, as XLA does.
    read, _ = partial_eval.dce_jaxpr(whole, [True] * len(whole.outvars))
    times: Counter[Product] = Counter()
    examples: dict[Product, Any] = {}
    for equation, repeats in _products(read, 1):
        kind = _kind(equation)
        times[kind] += repeats
        examples[kind] = equation
    total = {"all": 0, "inside": 0, "convolutions": 0}
    for kind, repeats in times.items():
        macs, inside = _macs(examples[kind])
        total["all"] += repeats * macs
        total["inside"] += repeats * inside
        if kind.primitive == "conv_general_dilated":
            total["convolutions"] += repeats * macs
    return Count(
        macs=total["all"],
        inside=total["inside"],
        convolutions=total["convolutions"],
        products=tuple((examples[kind], n) for kind, n in times.items()),
    )


def _kind(equation: Any) -> Product:
    shapes = tuple((v.aval.shape, str(v.aval.dtype)) for v in equation.invars)
    params = sorted((k, str(v)) for k, v in equation.params.items())
    return Product(equation.primitive.name, shapes, str(params))


def _products(jaxpr: Any, repeats: int) -> Iterator[tuple[Any, int]]:
    """Every product in a jaxpr and all that it calls, and how often it is done."""
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if name in PRODUCTS:
            yield equation, repeats
        elif str(params.get("name", "")).startswith(DEPTHWISE):
            yield from _products(_one_convolution(equation), repeats)
        elif name == "scan":
            yield from _products(params["jaxpr"].jaxpr, repeats * params["length"])
        elif name == "while":
            inside = [*_inner(params)]
            if any(True for each in inside for _ in _products(each, 1)):
                raise ExplainError(
                    "a while loop multiplies, and nobody knows how often beforehand"
                )
        elif name == "cond":
            branches = [list(_products(b.jaxpr, repeats)) for b in params["branches"]]
            yield from max(branches, key=lambda b: sum(_macs(e)[0] * n for e, n in b))
        elif name in ("custom_jvp_call", "custom_vjp_call"):
            inner = params["call_jaxpr"]
            yield from _products(getattr(inner, "jaxpr", inner), repeats)
        else:
            for inner in _inner(params):
                yield from _products(inner, repeats)


def _one_convolution(equation: Any) -> Any:
    """The program of the convolution that a call of `depthwise_conv` stands for."""
    if (len(equation.invars), len(equation.outvars)) != (2, 1):
        raise ExplainError("a depth-wise convolution's gradient cannot be counted")
    arrays = (*equation.invars, *equation.outvars)
    given, kernel, found = (
        jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in arrays
    )
    name = equation.params["name"]
    if name == depthwise_up.NAME:  # as many as the convolution that it is turned from
        kernel = kernel.update(shape=(1, *kernel.shape))
        grid = found.update(shape=(found.shape[0], 1, *found.shape[1:]))
        options = {"stride": depthwise_up.STRIDE}
    else:
        grid, options = given, depthwise.options_of(name)
    plain = partial(depthwise.as_one_convolution, **options)
    return jax.make_jaxpr(plain)(grid, kernel).jaxpr


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, core.ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, core.Jaxpr):
                yield each


def _macs(equation: Any) -> tuple[int, int]:
    """Multiply-accumulates with and without those on padding."""
    left, right = (v.aval.shape for v in equation.invars)
    out = equation.outvars[0].aval.shape
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        macs = math.prod(out) * math.prod(left[axis] for axis in contracted)
        return macs, macs
    numbers = equation.params["dimension_numbers"]
    kernel = [right[axis] for axis in numbers.rhs_spec]  # out, in / groups, space...
    outputs = [out[axis] for axis in numbers.out_spec]  # batch, channels, space...
    sizes = [left[axis] for axis in numbers.lhs_spec[2:]]
    channels = outputs[1] * kernel[1]
    # With `batch_group_count` (a kernel's gradient) each group sees a part of the rows.
    batch = outputs[0] * channels
    taps = [
        _taps(equation.params, i, sizes, kernel, outputs) for i in range(len(sizes))
    ]
    everywhere = math.prod(outputs[2:]) * math.prod(kernel[2:])
    return batch * everywhere, batch * math.prod(taps)


def _taps(
    params: dict[str, Any],
    axis: int,
    sizes: list[int],
    kernel: list[int],
    outputs: list[int],
) -> int:
    """Pairs of an output's place and a kernel's tap that meet a value, not padding."""
    stride = params["window_strides"][axis]
    low = params["padding"][axis][0]
    spread = params["lhs_dilation"][axis]
    reach = params["rhs_dilation"][axis]
    last = (sizes[axis] - 1) * spread
    return sum(
        0 <= (at := place * stride + tap * reach - low) <= last and at % spread == 0
        for place in range(outputs[axis + 2])
        for tap in range(kernel[axis + 2])
    )
