"""Convolutions whose kernels' gradient is a matrix product on a CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ultrasound_jax.models._parts import image_conv, kernel_gradient
from ultrasound_jax.models._parts.layers import Conv
from ultrasound_jax.models._parts.xla_conv import as_one_convolution

# height, width, channels in and out, kernel, stride: wider in than out and the other
# way round, sides that a stride does not divide, kernels of even and uneven sides.
CASES = [
    (9, 7, 3, 5, (3, 3), (1, 1)),
    (9, 7, 5, 3, (3, 3), (1, 1)),
    (9, 8, 5, 3, (3, 3), (2, 2)),
    (8, 9, 3, 5, (7, 5), (2, 1)),
    (8, 9, 5, 2, (1, 5), (1, 1)),
    (8, 9, 5, 2, (4, 2), (1, 1)),
]
LARGE = (2, 20, 36, 8)  # beyond the lower limits, below the upper one


def drawn(*shapes):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(k, shape) for k, shape in zip(keys, shapes, strict=True)]


@pytest.mark.parametrize(("h", "w", "c", "k", "window", "stride"), CASES)
def test_products_give_the_gradient_of_the_kernel(h, w, c, k, window, stride):
    image, kernel = drawn((3, h, w, c), (*window, c, k))
    found, pull = jax.vjp(
        lambda taps: as_one_convolution(image, taps, stride=stride), kernel
    )
    cotangent = jax.random.normal(jax.random.key(1), found.shape)
    ours = kernel_gradient.kernel_gradient(image, cotangent, kernel, stride=stride)
    # Sums of up to 3 * 9 * 8 numbers near 1 in another order.
    np.testing.assert_allclose(ours, pull(cotangent)[0], rtol=0, atol=5e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_large_image_has_the_values_and_gradients_of_xlas_convolution(
    stride, monkeypatch
):
    layer = Conv(8, 9, (3, 3), stride=stride, bias=True, rngs=nnx.Rngs(0))
    monkeypatch.setattr(kernel_gradient, "MOST_PIXELS", 1000)
    image = drawn(LARGE)[0]

    def pulled(call):
        graph, state = nnx.split(layer)
        found, pull = jax.vjp(lambda s, x: call(nnx.merge(graph, s), x), state, image)
        return found, pull(jnp.cos(jnp.arange(found.size)).reshape(found.shape))

    ours, xla = pulled(Conv.__call__), pulled(nnx.Conv.__call__)
    # 2,880 cosines times normal numbers are summed.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=5e-4), ours, xla
    )


def gradient_on(platform, shape, kernel):
    def loss(taps, image):
        return jnp.square(image_conv.image_conv(image, taps)).sum()

    args = [jax.ShapeDtypeStruct(s, "float32") for s in (kernel, shape)]
    traced = jax.jit(jax.grad(loss)).trace(*args)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def test_only_a_cpu_takes_the_products():
    kernel = (3, 3, 8, 9)
    on_cpu, on_gpu = (gradient_on(p, LARGE, kernel) for p in ("cpu", "cuda"))
    assert on_cpu.count("stablehlo.dot_general") == 1
    assert on_cpu.count("stablehlo.convolution") == 1
    assert "stablehlo.dot_general" not in on_gpu
    assert on_gpu.count("stablehlo.convolution") == 2


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((2, 8, 8, 16), (3, 3, 16, 16)),
        ((2, 64, 64, 1), (7, 7, 1, 16)),
        (LARGE, (1, 1, 8, 9)),
        ((2, 40, 40, 8), (3, 3, 8, 9)),
    ],
    ids=["small image", "one channel", "one tap", "large image of few channels"],
)
def test_what_xla_does_well_is_left_to_it(shape, kernel):
    program = gradient_on("cpu", shape, kernel)
    assert program.count("stablehlo.convolution") == 2
    assert "stablehlo.dot_general" not in program


def test_gradients_in_bfloat16_are_summed_in_float32():
    image, kernel, cotangent = drawn(LARGE, (3, 3, 8, 9), (*LARGE[:3], 9))
    half = [a.astype(jnp.bfloat16) for a in (image, cotangent, kernel)]
    ours = kernel_gradient.kernel_gradient(*half, stride=(1, 1))
    assert ours.dtype == jnp.bfloat16
    full = [a.astype(jnp.float32) for a in half]
    exact = kernel_gradient.kernel_gradient(*full, stride=(1, 1))
    # One rounding to 8 bits at the end; summed in bfloat16 it would be off by tens.
    np.testing.assert_allclose(ours.astype(np.float32), exact, rtol=2**-8, atol=1e-2)
