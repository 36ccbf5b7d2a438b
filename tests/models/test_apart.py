"""What is computed apart is computed once, and is the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.models._parts.apart import apart


def shifted(x):
    return jnp.where(x > 0, jnp.sin(x) * 2, 0)


def used_twice(shifted):
    def compute(x):
        y = shifted(x)
        return y + y[::-1] + y @ y

    return compute


def test_a_part_that_stands_apart_has_the_same_values_and_gradients():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 6)), jnp.float32)
    for change in (lambda f: f, lambda f: jax.grad(lambda x: f(x).sum())):
        ours, plain = (
            jax.jit(change(used_twice(f)))(x) for f in (apart(shifted), shifted)
        )
        np.testing.assert_allclose(ours, plain, rtol=1e-5)


@pytest.mark.parametrize(("part", "calls"), [(apart(shifted), 1), (shifted, 0)])
def test_it_stays_a_call_and_what_it_calls_itself_does_not(part, calls):
    x = jnp.ones((64, 64))
    compiled = jax.jit(used_twice(part)).lower(x).compile().as_text()
    assert sum(" call(" in line for line in compiled.splitlines()) == calls


def test_many_devices_share_it():
    devices = np.asarray(jax.devices())
    mesh = jax.sharding.Mesh(devices, ("rows",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("rows"))
    x = jax.device_put(jnp.ones((len(devices) * 2, 4)), rows)
    out = jax.jit(apart(shifted), in_shardings=rows, out_shardings=rows)(x)
    np.testing.assert_allclose(out, shifted(x))
