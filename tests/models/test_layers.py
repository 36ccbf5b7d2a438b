"""The building blocks against hand values and NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.tiny_networks import (
    TinyBottleneck,
    assert_trees_agree,
    clip_of,
    tiny,
)
from ultrasound_jax import models
from ultrasound_jax.models._parts.initialisers import (
    kaiming_fan_in,
    kaiming_fan_out,
    torch_uniform,
)
from ultrasound_jax.models._parts.layers import (
    BatchNorm,
    Conv,
)
from ultrasound_jax.models._parts.padding import (
    frame_mean,
    masked_softmax,
    real_frames,
)
from ultrasound_jax.models._parts.stem import (
    StemConv,
    max_pool,
)

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
IMAGENET = {
    "grey_scale": tuple((1 / DEVIATION).tolist()),
    "grey_offset": tuple((-MEAN / DEVIATION).tolist()),
}


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def test_batch_norm_updates_its_running_statistics_as_pytorch_does():
    norm = BatchNorm(3, rngs=nnx.Rngs(0))
    image = random(4, 5, 6, 3) * 2 + 1
    out = norm(jnp.asarray(image))
    mean, var = image.mean((0, 1, 2)), image.var((0, 1, 2))
    np.testing.assert_allclose(out, (image - mean) / np.sqrt(var + 1e-5), atol=1e-5)
    np.testing.assert_allclose(norm.mean[...], 0.1 * mean, rtol=1e-5)
    unbiased = image.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * unbiased, rtol=1e-5)


def test_batch_norm_keeps_its_precision_far_from_zero():
    # In float32 the naive E[x^2] - E[x]^2 of these values is wrong by 600 %.
    norm = BatchNorm(1, rngs=nnx.Rngs(0))
    norm.mean[...] = jnp.full(1, 1000.0)
    values = (1000.5 + 0.1 * random(4096, 1)).astype("float32")
    out = norm(jnp.asarray(values))
    np.testing.assert_allclose(out.std(), 1.0, rtol=1e-2)


def test_batch_norm_in_bfloat16_evaluates_with_float32_statistics():
    norm = BatchNorm(1, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    norm.use_running_average = True
    norm.mean[...], norm.var[...] = jnp.full(1, 100.2), jnp.full(1, 0.01)
    out = norm(jnp.full((1, 1), 100.0, jnp.bfloat16))
    # With the mean rounded to bfloat16, 100.2 would be 100.0 and the result 0.
    np.testing.assert_allclose(out.astype("float32"), -2.0, rtol=1e-2)


def test_batch_norm_of_a_constant_is_its_bias():
    norm = BatchNorm(2, rngs=nnx.Rngs(0))
    out = norm(jnp.full((8, 2), 1e4))
    np.testing.assert_array_equal(out, np.zeros((8, 2)))


def test_the_max_pool_pads_with_minus_infinity():
    out = max_pool(jnp.full((1, 4, 4, 1), -3.0))
    np.testing.assert_array_equal(out, np.full((1, 2, 2, 1), -3.0))


def test_strided_convolutions_pad_both_sides_alike():
    conv = Conv(1, 1, (3, 3), stride=2, rngs=nnx.Rngs(0))
    conv.kernel[...] = jnp.ones((3, 3, 1, 1))
    out = conv(jnp.ones((1, 4, 4, 1)))[0, ..., 0]
    # Padded before and after, the first window hangs over; 'SAME' would pad the end.
    np.testing.assert_array_equal(out, [[4, 6], [6, 9]])


def test_softmax_over_real_frames_is_numpys_and_survives_none():
    scores, mask = random(3, 1, 1, 4) * 50, real_frames(jnp.asarray([4, 2, 0]), 4)
    out = np.asarray(masked_softmax(jnp.asarray(scores), mask))
    for row, length in enumerate((4, 2)):
        powers = np.exp(scores[row, 0, 0, :length].astype("float64"))
        hand = powers / powers.sum()
        np.testing.assert_allclose(out[row, 0, 0, :length], hand, atol=1e-6)
    assert (out[1, ..., 2:] == 0).all()
    assert (out[2] == 0).all()


def test_the_mean_over_frames_skips_padding():
    frames = jnp.asarray([[[1.0], [3.0], [np.nan]], [[5.0], [5.0], [5.0]]])
    out = frame_mean(frames, real_frames(jnp.asarray([2, 0]), 3))
    np.testing.assert_array_equal(out, [[2.0], [0.0]])


@pytest.mark.parametrize("size", [9, 16])
def test_a_grey_image_equals_its_normalised_copies(size):
    stem = StemConv(models.Given(nnx.Rngs(0), **IMAGENET), 8)
    grey = np.abs(random(2, size, size, 1))
    copies = ((grey - MEAN) / DEVIATION).astype("float32")
    # Float32 rounding of sums over 147 products; the borders are in it.
    np.testing.assert_allclose(
        stem(jnp.asarray(grey)), stem(jnp.asarray(copies)), atol=2e-5
    )


def test_a_grey_image_without_scales_equals_plain_copies():
    stem = StemConv(models.Given(nnx.Rngs(0)), 8)
    grey = jnp.asarray(random(2, 9, 9, 1))
    copies = jnp.repeat(grey, 3, -1)
    np.testing.assert_allclose(stem(grey), stem(copies), atol=1e-5)


def test_a_grey_clip_trains_and_evaluates_as_its_normalised_copies():
    network = tiny("luvnet", "tiny_dense", **IMAGENET)
    grey = jnp.abs(clip_of(channels=1))
    copies = jnp.asarray((np.asarray(grey) - MEAN) / DEVIATION, "float32")
    assert_trees_agree(network.evaluate(grey), network.evaluate(copies), 5e-5)
    out, _, stats = network.train(grey)
    out2, _, stats2 = network.train(copies)
    assert_trees_agree((out, stats), (out2, stats2), 5e-5)


def test_an_image_of_other_channels_is_refused():
    stem = StemConv(models.Given(nnx.Rngs(0)), 8)
    with pytest.raises(models.ModelError, match="2 channels: allowed are 3 and"):
        stem(jnp.zeros((1, 9, 9, 2)))


@pytest.mark.parametrize(
    ("draw", "variance"),
    [
        (kaiming_fan_in, 2 / (9 * 32)),
        (kaiming_fan_out, 2 / (9 * 64)),
        (torch_uniform, 1 / (3 * 9 * 32)),
    ],
)
def test_starting_values_have_pytorchs_spread(draw, variance):
    values = draw(nnx.Rngs(0).params(), (3, 3, 32, 64), jnp.float32)
    assert values.shape == (3, 3, 32, 64)
    # 18432 draws: the variance is known to within about 1 %.
    np.testing.assert_allclose(values.var(), variance, rtol=0.05)
    assert abs(values.mean()) < 0.05 * variance**0.5


def test_residual_branches_start_at_zero():
    encoder = TinyBottleneck(models.Given(nnx.Rngs(0)), width=8)
    for block in (block for stage in encoder.stages for block in stage):
        np.testing.assert_array_equal(block.norm3.scale[...], 0)
