"""What the networks of masks are made of, against XLA's own operations and formulas."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ultrasound_jax import models
from ultrasound_jax.explain.cost.macs import count_macs
from ultrasound_jax.models._parts.depthwise_up import depthwise_image_up
from ultrasound_jax.models._parts.doubled import doubled, repeated, resized
from ultrasound_jax.models._parts.encoders import build_encoder
from ultrasound_jax.models._parts.filled import filled
from ultrasound_jax.models._parts.group_norm import GroupNorm
from ultrasound_jax.models._parts.norms import norm_of

CLOSE = 1e-5  # float32 sums in another order


def drawn(*shape, seed=0):
    return jnp.float32(np.random.default_rng(seed).standard_normal(shape))


def by_xla(image, kernel):
    """The transposed convolution as one over an image with holes; taps turned round."""
    height, width, features = kernel.shape
    return jax.lax.conv_general_dilated(
        image,
        kernel[::-1, ::-1, None],
        (1, 1),
        [(height // 2, height // 2), (width // 2, width // 2)],
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=features,
    )


@pytest.mark.parametrize(
    ("sides", "window"), [((5, 4), (3, 3)), ((1, 2), (3, 3)), ((6, 7), (5, 3))]
)
def test_pixels_are_spread_as_xla_does_and_so_are_their_gradients(sides, window):
    image, kernel = drawn(2, *sides, 3), drawn(*window, 3, seed=1)

    def loss(spread, image, kernel):
        found = spread(image, kernel)
        return jnp.sin(found).sum(), found

    (ours, mine), (theirs, wanted) = (
        jax.jit(jax.grad(partial(loss, spread), (0, 1), has_aux=True))(image, kernel)
        for spread in (depthwise_image_up, by_xla)
    )
    rows, columns = (2 * side - 1 for side in sides)
    assert mine.shape == (2, rows, columns, 3)
    np.testing.assert_allclose(mine, wanted, atol=CLOSE)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=CLOSE)


def test_what_is_spread_counts_as_the_convolution_that_it_is_the_gradient_of():
    image, kernel = (
        jax.ShapeDtypeStruct(s, "float32") for s in ((2, 4, 5, 3), (3,) * 3)
    )
    counted = count_macs(depthwise_image_up, image, kernel)
    assert counted.macs == counted.convolutions == 2 * 4 * 5 * 3 * 9
    outside = 2 * 3 * (3 * (4 + 5) * 2 - 4)  # taps on the border that meet no pixel
    assert counted.inside == counted.macs - outside


@pytest.mark.parametrize("sides", [(1, 1), (1, 5), (4, 7)])
def test_twice_the_size_is_as_jax_resizes(sides):
    image = drawn(2, *sides, 3)
    double = tuple(2 * side for side in sides)
    np.testing.assert_allclose(doubled(image), resized(image, double), atol=CLOSE)
    nearest = jax.image.resize(image, (2, *double, 3), "nearest")
    np.testing.assert_array_equal(repeated(image), nearest)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_a_group_norm_is_its_formula_in_float64(groups):
    norm = GroupNorm(6, groups)
    norm.scale[...], norm.bias[...] = drawn(6, seed=1), drawn(6, seed=2)
    image = drawn(2, 5, 4, 6) + 1000  # where a variance in one pass cancels
    exact = np.float64(image).reshape(2, 20, groups, 6 // groups)
    spread = np.sqrt(exact.var((1, 3), keepdims=True) + 1e-5)
    hand = ((exact - exact.mean((1, 3), keepdims=True)) / spread).reshape(2, 5, 4, 6)
    hand = hand * np.float64(norm.scale[...]) + np.float64(norm.bias[...])
    # Pixels of a thousand are known to 6e-5.
    np.testing.assert_allclose(norm(image), hand, atol=1e-3)


def test_norms_are_named_and_groups_divide_the_channels():
    given = models.Given(nnx.Rngs(0))
    made = {name: norm_of(name, given, 12) for name in ("group", "instance", "batch")}
    assert made["group"].groups == 4 and made["instance"].groups == 12
    assert (
        isinstance(made["batch"], nnx.BatchNorm) and norm_of("none", given, 4) is None
    )
    with pytest.raises(models.ModelError, match="norm='layer'.*batch, group, instance"):
        norm_of("layer", given, 4)
    with pytest.raises(models.ModelError, match="groups=4.*divisor of 6"):
        GroupNorm(6, 4)


def test_images_are_filled_by_their_last_row_and_column():
    image = drawn(1, 3, 4, 2)
    large = filled(image, 4)
    assert large.shape == (1, 4, 4, 2)
    np.testing.assert_array_equal(large[:, 3], image[:, 2])
    assert filled(image, 1).shape == image.shape


@pytest.mark.parametrize(
    ("encoder", "wanted"),
    [
        ("resnet18", {2: 64, 4: 64, 8: 128, 16: 256, 32: 512}),
        ("resnet50", {2: 64, 4: 256, 8: 512, 16: 1024, 32: 2048}),
        ("densenet121", {2: 64, 4: 256, 8: 512, 16: 1024, 32: 1024}),
    ],
)
def test_a_pyramid_has_every_stride_and_ends_with_the_feature_map(encoder, wanted):
    model = nnx.eval_shape(
        lambda: build_encoder(encoder, models.Given(nnx.Rngs(0), channels=1))
    )
    assert model.pyramid_channels == wanted
    view = nnx.view(model, use_running_average=True)
    graphdef, values = nnx.split(view)
    image = jax.ShapeDtypeStruct((2, 64, 96, 1), jnp.float32)
    levels = jax.eval_shape(
        lambda v, i: nnx.merge(graphdef, v).pyramid(i), values, image
    )
    assert {stride: level.shape for stride, level in levels.items()} == {
        stride: (2, 64 // stride, 96 // stride, channels)
        for stride, channels in wanted.items()
    }
