"""What knows the fan changes nothing outside of it, and follows its beams."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrasound_jax import augment
from ultrasound_jax.augment import primitives
from ultrasound_jax.augment.primitives import _fan

NAMES = [one.name for one in primitives.of_sets(["ultrasound"])]
POINT, AXIS, NEAR, FAR = -20.0, 47.5, 30.0, 110.0  # of the sector below, in pixels


def polar():
    y, x = np.mgrid[:96, :96].astype(float)
    radius = np.hypot(y - POINT, x - AXIS)
    return radius, np.arctan2(x - AXIS, y - POINT)


def sector():
    """A convex fan with a black cyst in it, and a noisy black surround."""
    radius, angle = polar()
    inside = (radius > NEAR) & (radius < FAR) & (np.abs(angle) < 0.5)
    rng = np.random.default_rng(0)
    picture = np.where(inside, 0.4 + 0.2 * rng.uniform(size=(96, 96)), 3 / 255)
    cyst = np.hypot(radius - 70, 70 * angle) < 6
    picture[cyst] = 0
    return picture.astype(np.float32), inside


def found(picture):
    frames = jnp.asarray(picture)[None, :, :, None]
    return _fan.find_fan(frames, jnp.ones(1, bool))


def test_the_fan_is_found_with_the_black_within_it():
    picture, inside = sector()
    np.testing.assert_array_equal(found(picture).inside, inside)


def test_depth_and_beams_are_those_of_the_sector():
    picture, inside = sector()
    fan = found(picture)
    radius, angle = polar()
    depth = (radius - NEAR) / (FAR - NEAR)
    # The point of the beams is fitted to edges that are known to a pixel.
    assert np.abs(np.asarray(fan.depth) - depth)[inside].max() < 0.05
    aside = np.tan(angle) / np.tan(0.5)
    assert np.abs(np.asarray(fan.aside) - aside)[inside].max() < 0.08


def test_beams_of_a_frame_without_a_surround_are_parallel():
    fan = found(np.full((20, 30), 0.5, np.float32))
    assert bool(fan.inside.all())
    np.testing.assert_allclose(
        fan.depth, np.linspace(0, 1, 20)[:, None] + 0 * fan.depth
    )
    np.testing.assert_allclose(fan.aside[0], np.linspace(-1, 1, 30), atol=1e-6)


def test_a_black_frame_has_no_fan_and_stays_black():
    fan = found(np.zeros((16, 16), np.float32))
    assert not bool(fan.inside.any())
    assert bool(jnp.isfinite(fan.depth).all() & jnp.isfinite(fan.aside).all())


def test_frames_beyond_a_clips_length_do_not_widen_the_fan():
    picture, inside = sector()
    clip = jnp.stack([jnp.asarray(picture), jnp.ones((96, 96))])[..., None]
    fan = _fan.find_fan(clip, jnp.asarray([True, False]))
    np.testing.assert_array_equal(fan.inside, inside)


def after(name, **options):
    picture, inside = sector()
    image = jnp.broadcast_to(jnp.asarray(picture)[..., None], (6, 96, 96, 1))
    change = augment.build([{"name": name, "magnitude": 0.8} | options])
    out = change({"image": image}, {"image": "pixels"}, key=jax.random.key(0))
    return np.asarray(out["image"][..., 0]), picture, inside


@pytest.mark.parametrize("name", NAMES)
def test_pixels_outside_the_fan_stay_and_those_inside_change(name):
    out, picture, inside = after(name)
    for one in out:
        np.testing.assert_array_equal(one[~inside], picture[~inside])
        assert np.abs(one - picture)[inside].max() > 0.05
        assert one.min() >= 0 and one.max() <= 1
    assert len({one.tobytes() for one in out}) > 1 or name == "attenuation"


def near_and_far(out, picture):
    radius, _ = polar()
    lit = picture > 0.1
    ends = [lit & (radius < 45), lit & (radius > 95)]
    return [(out[:, end] / picture[end]).mean(axis=1) for end in ends]


def test_attenuation_darkens_the_far_field_and_spares_the_near_one():
    out, picture, _ = after("attenuation")
    near, far = near_and_far(out, picture)
    assert near.min() > 0.75 and far.max() < 0.25


def test_depth_gain_goes_either_way():
    out, picture, _ = after("depth_gain")
    near, far = near_and_far(out, picture)
    assert ((near > 1.2) == (far < 0.8)).all() and {*(near > 1)} == {True, False}


def test_haze_is_thickest_near_the_probe():
    out, picture, _ = after("haze")
    near, far = near_and_far(out, picture)
    assert (near > 1.2).all() and (far < 1.05).all()


def test_a_shadow_is_a_sector_that_goes_on_to_the_far_end():
    out, picture, inside = after("shadow")
    radius, angle = polar()
    for one in out:
        dark = (one < 0.5 * picture) & (picture > 0.1)
        rim = dark & (radius > 95)
        assert 0.02 < rim.sum() / (inside & (radius > 95)).sum() < 0.5
        aside = np.tan(angle)
        low, high = aside[rim].min(), aside[rim].max()
        assert ((aside[dark] >= low - 0.05) & (aside[dark] <= high + 0.05)).all()


def test_speckle_multiplies_by_one_on_the_average_and_has_grains():
    out, picture, inside = after("speckle")
    lit = inside & (picture > 0.1)
    factor = out / np.where(lit, picture, 1)
    assert abs(factor[:, lit].mean() - 1) < 0.1
    pairs = lit[:, 1:] & lit[:, :-1]
    beside = np.corrcoef(
        factor[:, :, 1:][:, pairs].ravel(), factor[:, :, :-1][:, pairs].ravel()
    )
    assert beside[0, 1] > 0.4
