"""EfficientNet-Lite0: its padding, its pyramid, its pixels, its published weights."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.conftest import ROOT
from tests.models.reference_weights import random_tensor
from tests.models.tiny_networks import build_tiny, full_size
from ultrasound_jax import models
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts import xla_conv
from ultrasound_jax.models._parts.depthwise import depthwise_image_conv
from ultrasound_jax.models._parts.encoders import build_encoder
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.models._parts.stem import StemConv

CLOSE = 2e-5  # float32 sums in another order; a wrong term is 1e-2 and more
WEIGHTS = ROOT.parent / "shared/weights/efficientnet_lite0.safetensors"


def by_hand(image, kernel, stride):
    """TensorFlow's SAME, pixel by pixel in float64; a kernel `row column d`."""
    (n, *sides, d), size = image.shape, len(kernel)
    out = [math.ceil(side / stride) for side in sides]
    before = [
        max((o - 1) * stride + size - side, 0) // 2
        for o, side in zip(out, sides, strict=True)
    ]
    found = np.zeros((n, *out, d))
    for i, j, row, column in np.ndindex(*out, size, size):
        y, x = (
            at * stride + tap - b
            for at, tap, b in ((i, row, before[0]), (j, column, before[1]))
        )
        if 0 <= y < sides[0] and 0 <= x < sides[1]:
            found[:, i, j] += image[:, y, x] * kernel[row, column]
    return found


@pytest.mark.parametrize(("sides", "size", "stride"), [
    ((8, 8), 3, 2), ((9, 8), 3, 2), ((7, 6), 5, 2), ((5, 4), 5, 1), ((1, 2), 5, 2),
])  # fmt: skip
def test_convolutions_pad_as_tensorflow_does(sides, size, stride):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, *sides, 3))
    kernel = rng.standard_normal((size, size, 3))
    wanted = by_hand(image, kernel, stride)
    small, taps = jnp.float32(image), jnp.float32(kernel)
    options = {"stride": stride, "same": True}
    for ours in (
        depthwise_image_conv,
        jax.jit(depthwise_image_conv, static_argnames=options),
    ):
        np.testing.assert_allclose(ours(small, taps, **options), wanted, atol=CLOSE)
    given = models.Given(nnx.Rngs(0))
    stem = StemConv(given, 1, (size, size), **options)
    stem.kernel[...] = taps[..., None]
    np.testing.assert_allclose(stem(small)[..., 0], wanted.sum(-1), atol=CLOSE)


def test_the_depthwise_gradients_are_xlas():
    rng = np.random.default_rng(0)
    image = jnp.float32(rng.standard_normal((2, 8, 7, 4)))
    kernel = jnp.float32(rng.standard_normal((5, 5, 4)))

    def ours(image, kernel):
        return jnp.sin(depthwise_image_conv(image, kernel, stride=2, same=True)).sum()

    def xlas(image, kernel):
        padding = xla_conv.same_edges((8, 7), (5, 5), (2, 2))
        x = jax.lax.conv_general_dilated(
            image,
            kernel[:, :, None],
            (2, 2),
            padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=4,
        )
        return jnp.sin(x).sum()

    for found, wanted in zip(
        jax.grad(ours, (0, 1))(image, kernel),
        jax.grad(xlas, (0, 1))(image, kernel),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, atol=CLOSE)


def test_the_pyramid_has_the_published_channels_at_every_stride():
    encoder = nnx.eval_shape(
        lambda: build_encoder("efficientnet_lite0", models.Given(first_keys(0)))
    )
    wanted = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}
    assert encoder.pyramid_channels == wanted
    assert encoder.last_of == ((0, 2), (2, 4), (4, 8), (10, 16), (15, 32))
    image = jax.ShapeDtypeStruct((2, 65, 48, 1), jnp.float32)
    graphdef, values = nnx.split(nnx.view(encoder, use_running_average=True))
    levels = jax.eval_shape(
        lambda v, i: nnx.merge(graphdef, v).pyramid(i), values, image
    )
    assert {stride: level.shape for stride, level in levels.items()} == {
        stride: (2, math.ceil(65 / stride), math.ceil(48 / stride), channels)
        for stride, channels in wanted.items()
    }


def test_the_last_level_of_the_pyramid_makes_the_feature_map():
    encoder = build_tiny("frame_vote", "tiny_lite").encoder
    encoder = nnx.view(encoder, use_running_average=True)
    image = jnp.float32(np.random.default_rng(0).standard_normal((2, 12, 10, 3)))
    levels = encoder.pyramid(image)
    assert [*levels] == [2, 4]
    top = encoder.head(levels[4], None)
    np.testing.assert_array_equal(top, encoder.feature_map(image))


def test_each_network_is_given_pixels_as_its_weights_were_trained():
    mobile = models.normalisation("efficientnet_lite0")
    pixels = np.array([0.0, 127.0, 255.0])
    np.testing.assert_allclose(
        pixels / 255 * mobile.scale[0] + mobile.offset[0], (pixels - 127) / 128
    )
    assert models.normalisation("frame_vote", encoder="efficientnet_lite0") == mobile
    imagenet = models.normalisation("resnet18")
    assert imagenet != mobile and imagenet.mean[0] == 0.485
    for name in ("frame_vote", "x3d_s", "unet"):  # what an encoder's name does not say
        assert models.normalisation(name) == imagenet
    with pytest.raises(models.OptionError, match="encoder='vgg'"):
        models.normalisation("luvnet", encoder="vgg")


@cache
def published():
    return torch_weights.expected(full_size("efficientnet_lite0", patterns=1000))


def test_a_files_names_are_the_published_ones():
    expected = published()
    assert len(expected) == 247
    assert expected["_blocks.0._depthwise_conv.weight"].shape == (32, 1, 3, 3)
    assert expected["_blocks.15._project_conv.weight"].shape == (320, 1152, 1, 1)
    assert expected["_blocks.1._bn0.running_var"].shape == (96,)
    assert "_blocks.0._expand_conv.weight" not in expected
    for name in ("_conv_stem.weight", "_bn0.bias", "_conv_head.weight", "_bn1.weight"):
        assert name in expected
    assert expected["_fc.weight"].shape == (1000, 1280)


def test_an_image_classifier_has_the_names_of_the_network_whose_encoder_it_has():
    shapes = [
        {
            name: slot.shape
            for name, slot in torch_weights.expected(full_size(*which)).items()
        }
        for which in (("image_classifier", "resnet18"), ("resnet18",))
    ]
    assert shapes[0] == shapes[1] and "fc.weight" in shapes[0]


def test_the_published_file_fills_the_encoder_of_a_video_network():
    state = {
        name: random_tensor(name, slot.shape, 0) for name, slot in published().items()
    }
    state["_bn0.num_batches_tracked"] = np.array(0)
    target = nnx.eval_shape(
        lambda: models.build(
            "frame_vote", encoder="efficientnet_lite0", rngs=first_keys(0)
        )
    )
    report = torch_weights.load(target, state, part="encoder")
    assert report.tensors == 245
    assert report.ignored == {"_fc": 2, "num_batches_tracked": 1}
    np.testing.assert_array_equal(
        target.encoder.blocks[3].conv2.kernel[...][:, :, 0, 5],
        state["_blocks.3._depthwise_conv.weight"][5, 0],
    )


@pytest.mark.shared_data
def test_the_published_weights_give_the_published_numbers():
    if not WEIGHTS.is_file():
        pytest.skip(f"the weights are not there: {WEIGHTS}")
    model = nnx.eval_shape(
        lambda: models.build("efficientnet_lite0", patterns=1000, rngs=first_keys(0))
    )
    torch_weights.load(model, torch_weights.read_safetensors(WEIGHTS))
    view = nnx.view(
        model, deterministic=True, use_running_average=True, raise_if_not_found=False
    )
    graphdef, values = nnx.split(view)
    drawn = np.random.default_rng(7).standard_normal((2, 64, 64, 3))
    out = jax.jit(lambda v, i: nnx.merge(graphdef, v)(image=i))(
        values, jnp.float32(drawn)
    )
    # The reference is of float64; ours rounds to 24 bits in each of 50 layers.
    close = {"atol": 2e-5, "rtol": 0}
    features, logits = (np.float64(out[name]) for name in ("features", "logits"))
    found = [features.mean(), features.std(), *features[0, :5]]
    wanted = [0.0958416, 0.3781463, 0.091395, 0, 1.328167, 0, 0]
    np.testing.assert_allclose(found, wanted, **close)
    found = [logits.mean(), logits.std(), *logits[0, :5]]
    wanted = [-0.0572388, 1.1064691, -1.634303, 0.103568, 0.006186, -0.335163]
    np.testing.assert_allclose(found, [*wanted, -0.554276], **close)
