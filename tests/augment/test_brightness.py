import jax
import jax.numpy as jnp
import numpy as np

from ultrasound_jax import augment

ROLES = {"image": "pixels", "mask": "mask"}


def brighten(image, *, seed=0, **options):
    changed = augment.build([{"name": "brightness"} | options])
    return changed({"image": image}, ROLES, key=jax.random.key(seed))["image"]


def test_a_change_is_one_line_of_grey_values_within_its_limits():
    ramp = jnp.broadcast_to(jnp.linspace(0.3, 0.6, 16)[:, None, None], (300, 16, 1, 1))
    out = np.asarray(brighten(ramp, probability=1.0, gain=0.2, shift=0.1))
    grey = np.asarray(ramp[0, :, 0, 0])
    factor, offset = np.polyfit(grey, out[:, :, 0, 0].T, 1)
    for row, a, b in zip(out[:, :, 0, 0], factor, offset, strict=True):
        np.testing.assert_allclose(row, a * grey + b, atol=1e-6)
    # 300 draws of a uniform number come within 3 % of its ends.
    assert 0.8 <= factor.min() < 0.82 and 1.18 < factor.max() <= 1.2 + 1e-5
    assert -0.1 - 1e-5 <= offset.min() < -0.09 and 0.09 < offset.max() <= 0.1 + 1e-5
    assert abs(np.corrcoef(factor, offset)[0, 1]) < 0.2


def test_values_beyond_the_ends_are_clipped():
    image = jnp.asarray([0.0, 1.0])[None, :, None, None].repeat(50, axis=0)
    out = brighten(image, probability=1.0, gain=0.5, shift=0.5)
    assert float(out.min()) == 0.0 and float(out.max()) == 1.0


def test_a_chance_of_one_half_changes_about_half():
    image = jnp.full((400, 2, 2, 1), 0.5)
    out = brighten(image, probability=0.5, gain=0.2, shift=0.1)
    changed = (out != image).any(axis=(1, 2, 3)).mean()
    # 400 draws with p=1/2: a standard deviation of 0.025.
    assert abs(float(changed) - 0.5) < 0.1


def test_without_a_chance_or_a_range_nothing_is_touched():
    fields = {"image": jnp.ones((2, 4, 4, 1))}
    for options in (
        {"probability": 0.0, "gain": 0.2, "shift": 0.1},
        {"probability": 1.0, "gain": 0.0, "shift": 0.0},
    ):
        changed = augment.build([{"name": "brightness"} | options])
        assert changed(fields, ROLES, key=jax.random.key(0)) is fields
