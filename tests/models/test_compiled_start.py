"""A network's first parameters by one program."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ultrasound_jax import models
from ultrasound_jax.models._parts.compiled_start import compiled_start
from ultrasound_jax.models._parts.first_keys import first_keys


class Dense(nnx.Module):
    """A layer that looks at its parameters where it is made, if it is `curious`."""

    def __init__(self, rngs: nnx.Rngs, *, curious: bool):
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (3, 2)))
        if curious and float(self.kernel[...].max()) < -100:
            raise AssertionError("a normal number is never that small")


def test_one_program_gives_what_operation_by_operation_gives():
    options = {"patterns": 2, "width": 8, "heads": 4, "kernel_size": 3}
    plain = models.build("luvnet", rngs=nnx.Rngs(3), **options)
    compiled = compiled_start(lambda r: models.build("luvnet", rngs=r, **options), 3)
    assert nnx.graphdef(plain) == nnx.graphdef(compiled)
    # XLA may fuse a scale into what draws: one last bit.
    jax.tree.map(
        lambda ours, other: np.testing.assert_allclose(ours, other, rtol=3e-7),
        nnx.to_pure_dict(nnx.state(compiled, nnx.Param)),
        nnx.to_pure_dict(nnx.state(plain, nnx.Param)),
    )


def test_another_seed_gives_other_parameters():
    first, second = (
        compiled_start(lambda rngs: Dense(rngs, curious=False), seed) for seed in (0, 1)
    )
    assert (first.kernel[...] != second.kernel[...]).any()


def test_a_network_that_looks_at_its_parameters_is_made_all_the_same():
    made = compiled_start(lambda rngs: Dense(rngs, curious=True), 0)
    expected = Dense(nnx.Rngs(0), curious=True)
    np.testing.assert_array_equal(made.kernel[...], expected.kernel[...])


def test_a_key_keeps_the_program_and_each_seed_its_own_parameters():
    built = []

    def build(rngs):
        built.append(rngs)
        return Dense(rngs, curious=False)

    first, again, other = (compiled_start(build, s, key="dense") for s in (0, 0, 1))
    assert len(built) == 1
    np.testing.assert_array_equal(first.kernel[...], again.kernel[...])
    assert (first.kernel[...] != other.kernel[...]).any()
    first.kernel[...] = 0  # none of them is another's
    np.testing.assert_array_equal(
        again.kernel[...], compiled_start(build, 0, key="dense").kernel[...]
    )
    assert compiled_start(build, 0, key="another") is not None and len(built) == 2


class Kept(nnx.Module):
    """Draws keys of two kinds and keeps one to draw from later, as dropout does."""

    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Param(jax.random.normal(rngs.params(), (2,)))
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Param(jax.random.normal(rngs(), (2,)))


def test_the_keys_of_a_constructor_are_those_of_flax():
    ours, flax_own = Kept(first_keys(7)), Kept(nnx.Rngs(7))
    assert nnx.graphdef(ours) == nnx.graphdef(flax_own)
    ones = jnp.ones((4, 4))
    np.testing.assert_array_equal(ours.dropout(ones), flax_own.dropout(ones))
    np.testing.assert_array_equal(ours.first[...], flax_own.first[...])
    np.testing.assert_array_equal(ours.second[...], flax_own.second[...])


def test_counting_keys_asks_no_tracer_for_its_sharding(monkeypatch):
    def build(rngs):
        return [nnx.Linear(2, 2, rngs=rngs) for _ in range(3)]

    asked = []
    monkeypatch.setattr(
        jax.core.Tracer, "sharding", property(asked.append), raising=False
    )
    nnx.eval_shape(lambda: nnx.List(build(first_keys(0))))
    assert not asked
    nnx.eval_shape(lambda: nnx.List(build(nnx.Rngs(0))))
    assert asked
