"""Losses of masks against NumPy in float64, SciPy and hand values."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import ndimage, signal

from ultrasound_jax.tasks import _mask_losses as losses
from ultrasound_jax.tasks._boundary import boundary, distances, signed_distances
from ultrasound_jax.tasks._ssim import blur, ssim

RNG = np.random.default_rng(11)
SHAPE = (3, 14, 17)
TRUTH = {1: RNG.random((*SHAPE, 1)) < 0.3}
STRUCTURES = RNG.integers(0, 3, SHAPE)
TRUTH[2] = np.stack([STRUCTURES == 1, STRUCTURES == 2], axis=-1)
LOGITS = {1: RNG.normal(size=(*SHAPE, 1)) * 2, 2: RNG.normal(size=(*SHAPE, 3)) * 2}
SPACE = (1, 2)

both = pytest.mark.parametrize("structures", [1, 2])


def given(structures):
    logits = jnp.asarray(LOGITS[structures], jnp.float32)
    return logits, jnp.asarray(TRUTH[structures])


def probabilities(structures):
    """Of each structure, in float64."""
    z = LOGITS[structures]
    if structures == 1:
        return 1 / (1 + np.exp(-z))
    return (np.exp(z) / np.exp(z).sum(-1, keepdims=True))[..., 1:]


def of_true_class(structures):
    p, t = probabilities(structures), TRUTH[structures]
    background = 1 - p.sum(axis=-1)
    return np.where(t.any(axis=-1), (p * t).sum(axis=-1), background)


LOSSES = {
    "cross_entropy": losses.cross_entropy,
    "focal": lambda z, t: losses.focal(z, t, gamma=2.0, alpha=(0.25, 0.75)),
    "dice": losses.dice,
    "batch_dice": lambda z, t: losses.batch_dice(z, t, jnp.ones(len(z), bool)),
    "iou": losses.iou,
    "ssim": ssim,
    "boundary": boundary,
}


@both
def test_cross_entropy_is_that_of_the_true_class(structures):
    expected = -np.log(of_true_class(structures)).mean(axis=SPACE)
    found = losses.cross_entropy(*given(structures))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@both
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.0])
def test_focal_weighs_what_is_not_found_yet(structures, gamma):
    p = of_true_class(structures)
    alpha = np.where(TRUTH[structures].any(axis=-1), 0.25, 0.75)
    expected = -(alpha * (1 - p) ** gamma * np.log(p)).mean(axis=SPACE)
    found = losses.focal(*given(structures), gamma=gamma, alpha=(0.25, 0.75))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_constant_focal_weight_leaves_the_gradient_of_cross_entropy_weighed():
    z, t, p = LOGITS[1], TRUTH[1], probabilities(1)
    weight = np.where(t, (1 - p) ** 3, 0.3 * p**3)

    def loss(logits):
        found = losses.focal(
            logits, given(1)[1], gamma=3.0, alpha=(1.0, 0.3), constant=True
        )
        return found.sum()

    value, gradient = jax.value_and_grad(loss)(given(1)[0])
    terms = weight * np.where(t, np.log1p(np.exp(-z)), np.log1p(np.exp(z)))
    assert float(value) == pytest.approx(terms.mean(axis=SPACE).sum(), rel=1e-5)
    pixels = SHAPE[1] * SHAPE[2]
    np.testing.assert_allclose(gradient, weight * (p - t) / pixels, atol=1e-8)


@both
def test_dice_and_iou_are_their_sums_over_an_example(structures):
    p, t = probabilities(structures), TRUTH[structures]
    hit, found, true = (x.sum(axis=SPACE) for x in (p * t, p, t))
    dice = 1 - (2 * hit + 1) / (found + true + 1)
    iou = 1 - (hit + 1) / (found + true - hit + 1)
    logits, truth = given(structures)
    np.testing.assert_allclose(losses.dice(logits, truth), dice.mean(-1), rtol=1e-5)
    np.testing.assert_allclose(losses.iou(logits, truth), iou.mean(-1), rtol=1e-5)


@both
def test_batch_dice_is_of_the_sums_over_the_examples_that_count(structures):
    p, t = probabilities(structures)[:2], TRUTH[structures][:2]
    hit, found, true = (x.sum(axis=(0, 1, 2)) for x in (p * t, p, t))
    expected = (1 - (2 * hit + 1) / (found + true + 1)).mean()
    counts = jnp.array([True, True, False])
    each = losses.batch_dice(*given(structures), counts)
    np.testing.assert_allclose(each[:2], expected, rtol=1e-5)


def test_batch_dice_that_is_not_finite_names_its_example():
    logits, truth = given(1)
    each = losses.batch_dice(logits.at[1].set(jnp.nan), truth, jnp.ones(3, bool))
    np.testing.assert_array_equal(np.isnan(each), [False, True, False])


@both
@pytest.mark.parametrize("borders", ["zero", "inside"])
def test_ssim_is_that_of_whole_windows_in_two_dimensions(structures, borders):
    """A window of two dimensions and SciPy's sums, without anything separated."""
    square = np.square(np.arange(-5, 6) / 1.5)
    window = np.exp(-0.5 * (square[:, None] + square))
    window /= window.sum()
    mode = "same" if borders == "zero" else "valid"
    p, t = probabilities(structures), TRUTH[structures].astype(float)
    expected = np.zeros((3, structures))
    for b in range(3):
        for k in range(structures):
            x, y = p[b, ..., k], t[b, ..., k]
            mean_x, mean_y, xx, yy, xy = (
                signal.convolve2d(image, window, mode)
                for image in (x, y, x * x, y * y, x * y)
            )
            of_x, of_y = xx - mean_x**2, yy - mean_y**2
            likeness = (2 * mean_x * mean_y + 1e-4) * (
                2 * (xy - mean_x * mean_y) + 9e-4
            )
            likeness /= (mean_x**2 + mean_y**2 + 1e-4) * (of_x + of_y + 9e-4)
            expected[b, k] = 1 - likeness.mean()
    found = ssim(*given(structures), borders=borders)
    # Variances are differences of float32 sums.
    np.testing.assert_allclose(found, expected.mean(-1), rtol=2e-4)


def test_the_blur_is_its_own_gradient():
    maps, weights = RNG.normal(size=(2, 1, 9, 13, 2)).astype(np.float32)

    def weighed(maps):
        return (blur(maps) * weights).sum()

    found = jax.grad(weighed)(jnp.asarray(maps))
    # `weighed` is linear: its gradient's product with the maps is its value.
    other = RNG.normal(size=maps.shape).astype(np.float32)
    assert float((found * other).sum()) == pytest.approx(
        float(weighed(jnp.asarray(other))), abs=1e-4
    )


@pytest.mark.parametrize("shape", [(9, 13), (13, 9), (1, 7), (6, 1)])
def test_distances_are_exact(shape):
    masks = RNG.random((4, *shape, 2)) < 0.15
    masks[0], masks[:, 0, 0] = True, True
    found = np.asarray(distances(jnp.asarray(masks)))
    for b in range(4):
        for k in range(2):
            expected = ndimage.distance_transform_edt(~masks[b, ..., k])
            np.testing.assert_allclose(found[b, ..., k], expected, rtol=1e-6)


def test_signed_distances_are_negative_inside():
    disc = np.hypot(*np.mgrid[-8:8, -10:10]) < 5
    found = signed_distances(jnp.asarray(disc[None, ..., None]))[0, ..., 0]
    outside = ndimage.distance_transform_edt(~disc)
    inside = ndimage.distance_transform_edt(disc)
    expected = np.where(disc, 1 - inside, outside)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    for alone in (np.zeros_like(disc), np.ones_like(disc)):
        assert not signed_distances(jnp.asarray(alone[None, ..., None])).any()


def test_boundary_loss_is_least_where_the_structure_is():
    disc = jnp.asarray(np.hypot(*np.mgrid[-8:8, -10:10]) < 5)[None, ..., None]
    right = boundary(jnp.where(disc, 20.0, -20.0), disc)
    moved = boundary(jnp.where(jnp.roll(disc, 3, 2), 20.0, -20.0), disc)
    nowhere = boundary(jnp.full(disc.shape, -20.0), disc)
    assert float(right[0]) < float(nowhere[0]) == pytest.approx(0, abs=1e-6)
    assert float(right[0]) < float(moved[0])


@both
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_finite_for_empty_and_full_masks(name, structures):
    """So are their gradients, for a network that is sure of anything."""
    shape = (1, 12, 12, structures)
    wide = 1 if structures == 1 else structures + 1
    truths = np.zeros((2, *shape), bool)
    truths[1, ..., 0] = True
    patterns = np.full((3, 1, 12, 12, wide), 1e4, np.float32)
    patterns[1] *= -1
    patterns[2] = 0
    patterns[:2, ..., 1:] *= -1

    @jax.jit
    def found(logits, truth):
        return jax.value_and_grad(lambda z: LOSSES[name](z, truth).sum())(logits)

    for truth in truths:
        for logits in patterns:
            value, gradient = found(logits, truth)
            assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["dice", "iou", "ssim", "boundary"])
def test_nothing_that_is_found_where_nothing_is_costs_nothing(name):
    empty = jnp.zeros((1, 12, 12, 1), bool)
    logits = jnp.full(empty.shape, -50.0)
    np.testing.assert_allclose(LOSSES[name](logits, empty), 0, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_computed_in_single(name):
    logits, truth = given(1)
    half = logits.astype(jnp.bfloat16)
    found = LOSSES[name](half, truth)
    assert found.dtype == jnp.float32
    expected = LOSSES[name](half.astype(jnp.float32), truth)
    np.testing.assert_array_equal(found, expected)


@both
def test_boundary_loss_is_the_mean_of_probability_times_distance(structures):
    p, t = probabilities(structures), TRUTH[structures]
    expected = np.zeros(SHAPE[0])
    for b in range(SHAPE[0]):
        for k in range(structures):
            mask = t[b, ..., k]
            inside = 1 - ndimage.distance_transform_edt(mask)
            signed = np.where(mask, inside, ndimage.distance_transform_edt(~mask))
            expected[b] += (p[b, ..., k] * signed).mean() / structures
    np.testing.assert_allclose(boundary(*given(structures)), expected, rtol=1e-5)


@both
@pytest.mark.parametrize("name", LOSSES)
def test_whoever_minimises_a_loss_finds_the_mask(name, structures):
    """Of free logits, one a pixel, from where nothing is known."""
    rows, columns = np.mgrid[:16, :16]
    discs = [np.hypot(rows - 6, columns - 5) < 4, np.hypot(rows - 11, columns - 11) < 3]
    truth = jnp.asarray(np.stack(discs[:structures], axis=-1))[None]
    logits = jnp.zeros((1, 16, 16, 1 if structures == 1 else 3))
    optimizer = optax.adam(0.1)

    def move(carry, _):
        logits, state = carry
        gradient = jax.grad(lambda z: LOSSES[name](z, truth).sum())(logits)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(logits, updates), state), None

    start = (logits, optimizer.init(logits))
    (logits, _), _ = jax.jit(lambda c: jax.lax.scan(move, c, length=150))(start)
    # The boundary loss says nothing of the pixels next to it, where its distance is 0.
    ignored = (signed_distances(truth) == 0) if name == "boundary" else False
    found = losses.shares(logits) > 0.5
    assert (ignored | (found == truth)).all()
