"""A 3x3 convolution of 2x2 pixels and less, as one matrix product."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ultrasound_jax.models._parts.clip_conv import convolve_clip
from ultrasound_jax.models._parts.layers import Conv
from ultrasound_jax.models._parts.tiny_conv import as_one_product, fits, tiny_conv
from ultrasound_jax.models._parts.xla_conv import as_one_convolution

SIZES = [*product((1, 2), (1, 2), ((1, 1), (2, 2), (1, 2)))]


def drawn(height, width, inputs=3, outputs=5):
    keys = jax.random.split(jax.random.key(height + 2 * width))
    image = jax.random.normal(keys[0], (4, height, width, inputs))
    return image, jax.random.normal(keys[1], (3, 3, inputs, outputs))


@pytest.mark.parametrize(("height", "width", "stride"), SIZES)
def test_the_product_and_its_gradients_are_the_convolutions(height, width, stride):
    case = drawn(height, width)

    def value_and_pulled(convolve):
        found, pull = jax.vjp(lambda x, taps: convolve(x, taps, stride=stride), *case)
        return found, pull(jnp.cos(jnp.arange(found.size)).reshape(found.shape))

    # Sums of at most 12 numbers near 1 in another order.
    jax.tree.map(
        lambda ours, xla: np.testing.assert_allclose(ours, xla, rtol=0, atol=5e-6),
        value_and_pulled(as_one_product),
        value_and_pulled(as_one_convolution),
    )


@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 4), (4, 2)])
def test_what_becomes_tiny_is_the_convolution_too(height, width):
    case = drawn(height, width)
    assert fits((height, width), (3, 3), (2, 2))

    def value_and_pulled(convolve):
        found, pull = jax.vjp(lambda x, taps: convolve(x, taps, stride=(2, 2)), *case)
        return found, pull(jnp.cos(jnp.arange(found.size)).reshape(found.shape))

    jax.tree.map(
        lambda ours, xla: np.testing.assert_allclose(ours, xla, rtol=0, atol=1e-5),
        value_and_pulled(tiny_conv),
        value_and_pulled(as_one_convolution),
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_takes_the_product_on_a_cpu_and_the_convolution_elsewhere(stride):
    layer = Conv(3, 5, (3, 3), stride=stride, bias=True, rngs=nnx.Rngs(0))
    image = drawn(2, 2)[0]
    expected = nnx.Conv.__call__(layer, image)
    np.testing.assert_allclose(layer(image), expected, rtol=0, atol=5e-6)
    graph, state = nnx.split(layer)
    traced = jax.jit(lambda state, x: nnx.merge(graph, state)(x)).trace(state, image)
    on_cpu, on_gpu = (
        traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda")
    )
    assert "stablehlo.convolution" not in on_cpu
    assert "stablehlo.convolution" in on_gpu


def test_larger_images_and_depth_wise_ones_are_convolved_by_xla():
    case = [((4, 3, 2, 3), 1), ((4, 2, 2, 6), 6)]
    for shape, groups in case:
        layer = Conv(shape[-1], 6, (3, 3), groups=groups, rngs=nnx.Rngs(0))
        program = jax.make_jaxpr(layer)(jnp.ones(shape))
        assert "platform_index" not in str(program)


def test_a_layer_computes_in_its_own_dtype():
    layer = Conv(3, 5, (3, 3), dtype=jnp.bfloat16, bias=True, rngs=nnx.Rngs(0))
    image = drawn(2, 2)[0]
    assert layer(image).dtype == jnp.bfloat16
    precise = nnx.Conv.__call__(Conv(3, 5, (3, 3), bias=True, rngs=nnx.Rngs(0)), image)
    # bfloat16 has 8 bits, and 27 products are summed.
    np.testing.assert_allclose(
        layer(image).astype(np.float32), precise, rtol=0.05, atol=0.05
    )


def test_a_clip_of_tiny_frames_is_convolved_as_3_d():
    clip = jax.random.normal(jax.random.key(0), (2, 5, 2, 2, 3))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 3, 4))
    expected = jax.lax.conv_general_dilated(
        clip,
        kernel,
        (1, 2, 2),
        [(1, 1)] * 3,
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
    )
    found = convolve_clip(clip, kernel, stride=(1, 2, 2))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_the_gradient_passes_through_the_choice_of_platform():
    image, kernel = drawn(2, 2)
    ours, xla = (
        jax.jit(jax.grad(lambda x, f=f: jnp.square(f(x, kernel)).sum()))(image)
        for f in (tiny_conv, lambda x, taps: as_one_convolution(x, taps, stride=(1, 1)))
    )
    np.testing.assert_allclose(ours, xla, rtol=1e-5, atol=1e-4)
