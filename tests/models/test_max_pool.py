"""The pool at the entrance, and who gets its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.models._parts import max_pool as pools


def pulled(pool, image):
    found, pull = jax.vjp(pool, image)
    return found, pull(jnp.cos(jnp.arange(found.size)).reshape(found.shape))[0]


@pytest.mark.parametrize(
    "shape", [(2, 8, 8, 3), (2, 7, 9, 2), (1, 1, 2, 1), (1, 5, 6, 4)]
)
@pytest.mark.parametrize("shades", [0, 3], ids=["all differ", "many equal"])
def test_values_and_gradients_are_xlas_also_where_pixels_are_equal(shape, shades):
    image = jax.random.normal(jax.random.key(0), shape)
    if shades:
        image = jnp.round(image * shades) / shades
    ours, xla = (pulled(f, image) for f in (pools.max_pool, pools.by_xla))
    np.testing.assert_array_equal(ours[0], xla[0])
    np.testing.assert_allclose(ours[1], xla[1], rtol=0, atol=1e-6)


def test_only_a_cpu_compares():
    traced = jax.jit(jax.grad(lambda x: pools.max_pool(x).sum())).trace(
        jnp.ones((1, 8, 8, 2))
    )
    on_cpu, on_gpu = (
        traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda")
    )
    assert "select_and_scatter" not in on_cpu and "select_and_scatter" in on_gpu
