"""Attention against its formula, in turns and at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from ultrasound_jax.models._parts import multi_head


def some(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), "float32")


QUERY, KEY, VALUE = (
    some(2, 11, 3, 4),
    some(2, 5, 3, 4, seed=1),
    some(2, 5, 3, 6, seed=2),
)
MASK = jnp.asarray([[True] * 5, [True, False, True, False, False]])


def by_hand(query, key, value, mask):
    out = np.zeros((*query.shape[:3], value.shape[-1]))
    for row, head in np.ndindex(query.shape[0], query.shape[2]):
        real = np.asarray(mask[row])
        logits = np.asarray(query[row, :, head]) @ np.asarray(key[row, real, head]).T
        weights = scipy.special.softmax(logits, -1)
        out[row, :, head] = weights @ np.asarray(value[row, real, head])
    return out


@pytest.mark.parametrize("at_once", [4, 5, 11])
def test_queries_gather_values_by_the_softmax_over_real_keys(at_once, monkeypatch):
    monkeypatch.setattr(multi_head, "QUERIES_AT_ONCE", at_once)
    ours = multi_head.attend(QUERY, KEY, VALUE, MASK)
    np.testing.assert_allclose(ours, by_hand(QUERY, KEY, VALUE, MASK), atol=1e-6)


def test_turns_change_no_gradient(monkeypatch):
    def gradients(at_once):
        monkeypatch.setattr(multi_head, "QUERIES_AT_ONCE", at_once)

        def loss(*arrays):
            return jnp.square(multi_head.attend(*arrays, MASK)).sum()

        return jax.jit(jax.grad(loss, (0, 1, 2)))(QUERY, KEY, VALUE)

    for ours, theirs in zip(gradients(4), gradients(11), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_turns_never_hold_the_weights_of_all_queries(monkeypatch):
    def temporary(at_once):
        monkeypatch.setattr(multi_head, "QUERIES_AT_ONCE", at_once)

        def loss(*arrays):
            return jnp.square(multi_head.attend(*arrays)).sum()

        arrays = some(1, 4096, 1, 4), some(1, 512, 1, 4), some(1, 512, 1, 4)
        program = jax.jit(jax.grad(loss, (0, 1, 2))).lower(*arrays).compile()
        return program.memory_analysis().temp_size_in_bytes

    weights = 4096 * 512 * 4
    assert temporary(4096) > weights
    assert temporary(256) < weights / 2
