"""Convolutions of stride 2 over few channels, folded to stride 1 on a CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.models._parts import folded_conv
from ultrasound_jax.models._parts.image_conv import image_conv
from ultrasound_jax.models._parts.xla_conv import as_one_convolution

# height, width, channels in and out, kernel: sides that 2 divides or not, kernels whose
# half is even or uneven, wider than high.
CASES = [
    (10, 8, 1, 5, (7, 7)),
    (9, 7, 1, 4, (3, 3)),
    (9, 8, 3, 4, (5, 5)),
    (8, 11, 2, 3, (3, 7)),
]


def drawn(h, w, c, k, window):
    keys = jax.random.split(jax.random.key(0))
    image = jax.random.normal(keys[0], (2, h, w, c))
    return image, jax.random.normal(keys[1], (*window, c, k))


@pytest.mark.parametrize("case", CASES)
def test_folding_gives_the_convolution(case):
    image, kernel = drawn(*case)
    ours = folded_conv._by_folding(image, kernel)
    xla = as_one_convolution(image, kernel, stride=(2, 2))
    # Sums of up to 75 numbers near 1 in another order.
    np.testing.assert_allclose(ours, xla, rtol=0, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_products_give_the_gradient_of_the_kernel(case):
    image, kernel = drawn(*case)
    found, pull = jax.vjp(
        lambda taps: as_one_convolution(image, taps, stride=(2, 2)), kernel
    )
    cotangent = jax.random.normal(jax.random.key(1), found.shape)
    ours = folded_conv.kernel_gradient(image, cotangent, kernel)
    np.testing.assert_allclose(ours, pull(cotangent)[0], rtol=0, atol=5e-5)


def test_an_entrance_has_the_values_and_gradients_of_xlas_convolution():
    case = drawn(64, 64, 1, 16, (7, 7))

    def pulled(convolve):
        found, pull = jax.vjp(lambda *args: convolve(*args, stride=(2, 2)), *case)
        return found, pull(jnp.cos(jnp.arange(found.size)).reshape(found.shape))

    # 2,048 cosines times normal numbers are summed.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=5e-4),
        pulled(image_conv),
        pulled(as_one_convolution),
    )


def test_only_a_cpu_folds():
    args = drawn(64, 64, 1, 16, (7, 7))
    traced = jax.jit(lambda x, taps: image_conv(x, taps, stride=(2, 2))).trace(*args)
    on_cpu, on_gpu = (
        traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda")
    )
    assert "4x4x4x16" in on_cpu and "4x4x4x16" not in on_gpu
