"""The gradients of a depth-wise convolution against those of XLA's own convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.models._parts import depthwise_gradient
from ultrasound_jax.models._parts.depthwise import as_one_convolution, depthwise_conv

CASES = [  # batch, time, height, width and what is behind; window; stride; same
    ((3, 1, 8, 7, 4), (1, 3, 3), 1, True),
    ((3, 1, 8, 7, 4), (1, 3, 3), 2, True),
    ((2, 1, 9, 12, 4), (1, 5, 5), 2, True),
    ((2, 1, 1, 2, 4), (1, 5, 5), 2, True),
    ((2, 3, 6, 5, 4), (3, 3, 3), 1, False),
    ((2, 3, 6, 5, 4), (3, 3, 3), 2, False),
    ((2, 3, 6, 5, 2, 4), (3, 3, 3), 2, False),
    ((2, 2, 9, 16, 4), (3, 3, 3), 8, False),
    ((2, 6, 5, 4, 4), (5, 1, 1), 1, False),
]


def gradients(convolve, grid, kernel, dtype="float32", **how):
    def loss(grid, kernel):
        return jnp.sin(convolve(grid, kernel, **how).astype("float32")).sum()

    return jax.jit(jax.grad(loss, (0, 1)))(grid.astype(dtype), kernel)


@pytest.mark.parametrize("block", [depthwise_gradient.BLOCK, 500, 1])
@pytest.mark.parametrize(("shape", "window", "stride", "same"), CASES)
def test_they_are_xlas(shape, window, stride, same, block, monkeypatch):
    monkeypatch.setattr(depthwise_gradient, "BLOCK", block)
    rng = np.random.default_rng(0)
    grid = jnp.float32(rng.standard_normal(shape))
    kernel = jnp.float32(rng.standard_normal((*window, shape[-1])))
    jax.clear_caches()  # the block is no argument
    how = {"stride": stride, "same": same}
    ours = gradients(depthwise_conv, grid, kernel, **how)
    theirs = gradients(as_one_convolution, grid, kernel, **how)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


def test_small_floats_are_summed_in_large_ones():
    rng = np.random.default_rng(0)
    grid = jnp.float32(rng.standard_normal((4, 1, 32, 32, 3)))
    kernel = jnp.float32(rng.standard_normal((1, 3, 3, 3)))
    how = {"same": True}
    exact = gradients(depthwise_conv, grid, kernel, **how)
    ours = gradients(
        depthwise_conv,
        grid,
        kernel,
        "bfloat16",
        **how,
    )
    assert [each.dtype for each in ours] == ["bfloat16", "float32"]
    for one, other in zip(ours, exact, strict=True):
        np.testing.assert_allclose(one, other, atol=0.02 * jnp.abs(other).max())
