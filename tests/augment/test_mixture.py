"""A batch in which every example gets another primitive."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax.augment import _mixture, primitives

ROLES = {"image": "pixels", "mask": "mask", "clip": "pixels"}
KNOWN = primitives.of_sets(["fast", "ultrasound"])
ROWS = len(KNOWN) + 1
NOTHING = _mixture.NOTHING


@pytest.fixture(scope="module")
def fields():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (ROWS, 24, 20, 1)) / 255
    return {
        "image": jnp.asarray(image, jnp.float32),
        "mask": jnp.asarray(rng.integers(0, 3, image.shape), jnp.uint8),
    }


@pytest.fixture(scope="module")
def chosen():
    """Each primitive once and nothing once, at different magnitudes."""
    return stages(np.arange(ROWS) - 1, strength=np.linspace(0.2, 0.9, ROWS))


def stages(first, second=NOTHING, strength=0.5):
    """One choice or two for each row; always two stages, to be compiled once."""
    places = np.stack([np.broadcast_to(one, ROWS) for one in (first, second)], axis=1)
    strengths = np.broadcast_to(np.asarray(strength, np.float32), ROWS)
    strengths = np.stack([strengths, strengths], axis=1)
    return _mixture.Chosen(jnp.asarray(places, jnp.int32), jnp.asarray(strengths))


@functools.partial(jax.jit, static_argnames="known")
def run(fields, keys, chosen, known):
    return _mixture.apply(fields, ROLES, keys, known, chosen)


def apply(fields, chosen, known=KNOWN, how=run):
    keys = jax.random.split(jax.random.key(7), len(chosen.primitive))
    return how(fields, keys, chosen, known)


@pytest.fixture(scope="module")
def mixed(fields, chosen):
    return apply(fields, chosen)


def test_an_example_without_a_primitive_is_copied_bit_for_bit(fields, mixed):
    for name in fields:
        np.testing.assert_array_equal(mixed[name][0], fields[name][0])


def test_every_primitive_changes_its_example(fields, mixed):
    same = (np.asarray(mixed["image"]) == fields["image"]).all(axis=(1, 2, 3))
    assert np.flatnonzero(same).tolist() == [0]


def test_masks_move_with_moves_alone(fields, mixed):
    for row, one in enumerate(KNOWN, 1):
        same = bool((mixed["mask"][row] == fields["mask"][row]).all())
        assert same == (one.kind != "matrix"), one.name


def test_an_example_gets_what_it_gets_alone(fields, mixed):
    """Another batch around it, of examples that are left as they are."""
    strength = np.linspace(0.2, 0.9, ROWS)
    for row in (1, 5, 9, 14, ROWS - 1):
        places = np.where(np.arange(ROWS) == row, row - 1, NOTHING)
        alone = apply(fields, stages(places, strength=strength))
        np.testing.assert_array_equal(alone["image"][row], mixed["image"][row])


def test_side_by_side_gives_the_same_as_one_by_one(fields, chosen, mixed, monkeypatch):
    """What other platforms than a CPU are compiled to."""

    def not_here(*each, cpu, default):
        return default(*each)

    monkeypatch.setattr(jax.lax, "platform_dependent", not_here)
    beside = apply(fields, chosen, how=jax.jit(run.__wrapped__, static_argnums=3))
    for row in range(ROWS):
        # Sums in another order, and places that lie within 1e-6 of a pixel's edge.
        near = np.isclose(beside["image"][row], mixed["image"][row], atol=2e-5)
        assert near.mean() > 0.995, row
        assert (beside["mask"][row] == mixed["mask"][row]).mean() > 0.995


def test_stages_follow_each_other_and_draw_on_their_own(fields):
    names = [one.name for one in KNOWN]
    invert, noise = names.index("invert"), names.index("gaussian_noise")
    twice = apply(fields, stages(invert, invert))["image"]
    np.testing.assert_allclose(twice, fields["image"], atol=1e-6)
    grey = fields | {"image": jnp.full_like(fields["image"], 0.4)}
    once = apply(grey, stages(noise, strength=0.0))["image"]
    both = apply(grey, stages(noise, noise, strength=0.0))["image"]
    pair = np.asarray(once - 0.4).ravel(), np.asarray(both - once).ravel()
    assert abs(np.corrcoef(*pair)[0, 1]) < 0.1


def test_frames_beyond_a_clips_length_have_no_say_in_its_levels(fields):
    clip = jnp.broadcast_to(fields["image"][:, None], (ROWS, 3, 24, 20, 1))
    clip = clip * 0.5 + 0.2
    longer = clip.at[:, 2].set(1.0)
    tones = tuple(one for one in KNOWN if one.kind == "table")
    chosen = stages(np.arange(ROWS) % len(tones), strength=0.1)
    lengths = {"clip_length": jnp.full(ROWS, 2, jnp.int32)}
    out = apply({"clip": longer} | lengths, chosen, tones)["clip"]
    alone = apply({"clip": clip[:, :2]}, chosen, tones)["clip"]
    np.testing.assert_array_equal(out[:, :2], alone)


def test_several_devices_give_what_one_gives(fields, chosen, mixed):
    mesh = jax.sharding.Mesh(jax.devices()[:4], ("data",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    assert ROWS % 4 == 0
    out = apply(jax.device_put(fields, rows), jax.device_put(chosen, rows))
    np.testing.assert_allclose(out["image"], mixed["image"], atol=1e-6)
