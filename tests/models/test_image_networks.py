"""The networks that read single images: classifiers and the U-Net, run small."""

import hashlib
import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.signal import correlate2d

from tests.models.test_layers import DEVIATION, IMAGENET, MEAN
from tests.models.tiny_networks import TINY as TINY_ENCODERS
from tests.models.tiny_networks import (
    TinyBasic,
    TinyDense,
    assert_trees_agree,
    build_tiny,
    draw_norms,
)
from ultrasound_jax import models
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.models._parts.image_classifier import ImageClassifier
from ultrasound_jax.models.unet import UpConv

OUTPUTS, HEIGHT, WIDTH = 3, 18, 21  # no multiples of four: the U-Net must fill them
CLOSE = 2e-5  # float32 sums in another order; a wrong term is 1e-2 and more


class TinyResNet(ImageClassifier):
    """A classifier with one block a stage."""

    encoder_kind = TinyBasic


class TinyDenseNet(ImageClassifier):
    """A classifier with two short dense blocks."""

    encoder_kind = TinyDense


TINY = {
    "any": ("image_classifier", {"encoder": TINY_ENCODERS["tiny_lite"], "width": 8}),
    "resnet": (f"{__name__}:TinyResNet", {"width": 8}),
    "densenet": (f"{__name__}:TinyDenseNet", {"width": 8}),
    "unet": ("unet", {"width": 4, "depth": 2}),
}
every_network = pytest.mark.parametrize("name", TINY)


def image_of(channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.standard_normal((4, HEIGHT, WIDTH, channels)), "float32")


@cache
def tiny(name, **options):
    """The network, and its evaluation as a compiled function."""
    path, small = TINY[name]
    options = {"patterns": OUTPUTS, **small, **options}
    model = models.build(path, rngs=nnx.Rngs(0), **options)
    draw_norms(model)
    return model, jax.jit(partial_evaluation(model))


def partial_evaluation(model):
    view = viewed(model, evaluation=True)
    graphdef, values = nnx.split(view)
    return lambda image: nnx.merge(graphdef, values, copy=True)(image=image)


def viewed(model, *, evaluation):
    return nnx.view(
        model,
        deterministic=evaluation,
        use_running_average=evaluation,
        raise_if_not_found=False,
    )


def trained(model, image, seed=0):
    """Outputs and gradients of a step, and the statistics after it."""
    view = viewed(model, evaluation=False)
    graphdef, params, stats = nnx.split(view, nnx.Param, ...)

    def loss(params):
        network = nnx.merge(graphdef, params, stats, copy=True)
        out = network(image=image, rngs=nnx.Rngs(dropout=jax.random.key(seed)))
        target = jnp.arange(OUTPUTS) / OUTPUTS
        after = nnx.to_pure_dict(nnx.state(network, nnx.BatchStat))
        return jnp.square(out["logits"] - target).mean(), (out, after)

    step = jax.jit(jax.grad(loss, has_aux=True))
    gradients, (out, after) = step(params)
    return out, nnx.to_pure_dict(gradients), after


@every_network
def test_outputs_have_their_shapes_and_types(name):
    model, evaluate = tiny(name)
    out = evaluate(image_of())
    shapes = {"logits": (4, HEIGHT, WIDTH, OUTPUTS)}
    if name != "unet":
        shapes = {"logits": (4, OUTPUTS), "features": (4, model.encoder.features)}
    assert {key: value.shape for key, value in out.items()} == shapes
    assert {value.dtype for value in out.values()} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("name", "given", "parameters"),
    [
        ("resnet18", {"patterns": 1000}, 11_689_512),  # torchvision's counts
        ("resnet50", {"patterns": 1000}, 25_557_032),
        ("densenet121", {"patterns": 1000}, 7_978_856),
        ("efficientnet_lite0", {"patterns": 1000}, 4_652_008),
        pytest.param(
            "densenet161", {"patterns": 1000}, 28_681_000, marks=pytest.mark.slow
        ),
        ("unet", {"patterns": 1, "channels": 1}, 7_762_465),  # the PU2756 study's
    ],
)
def test_parameters_are_as_many_as_published(name, given, parameters):
    model = nnx.eval_shape(lambda: models.build(name, **given, rngs=first_keys(0)))
    params = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert sum(math.prod(param.shape) for param in params) == parameters


@every_network
def test_every_parameter_gets_a_gradient_and_statistics_move(name):
    model, _ = tiny(name)
    before = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
    _, gradients, after = trained(model, image_of())
    for path, gradient in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 0, path
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert np.abs(old - new).max() > 0


@every_network
def test_evaluation_is_deterministic_and_rows_do_not_meet(name):
    _, evaluate = tiny(name)
    out = evaluate(image_of())
    assert_trees_agree(evaluate(image_of()), out, 0)
    alone = evaluate(image_of()[1:2])
    assert_trees_agree(alone, jax.tree.map(lambda a: a[1:2], out), CLOSE)


@every_network
def test_jit_equals_eager(name):
    model, evaluate = tiny(name)
    eager = partial_evaluation(model)(image_of())
    assert_trees_agree(evaluate(image_of()), eager, CLOSE)


@every_network
def test_bfloat16_is_near_float32(name):
    exact = tiny(name)[1](image_of())["logits"]
    out = tiny(name, dtype="bfloat16")[1](image_of())["logits"]
    # bfloat16 has 8 bits: 0.4 % a rounding, some tens of roundings deep.
    np.testing.assert_allclose(out, exact, atol=0.1 * np.abs(exact).max())
    assert out.dtype == jnp.float32


@every_network
def test_rematerialising_changes_no_value_and_no_gradient(name):
    plain = trained(tiny(name)[0], image_of())
    remat = trained(tiny(name, remat=True)[0], image_of())
    assert_trees_agree(remat[0], plain[0], CLOSE)
    # Gradients through batch statistics subtract large terms.
    largest = max(np.abs(g).max() for g in jax.tree.leaves(plain[1]))
    assert np.isfinite(largest)
    assert_trees_agree(remat[1], plain[1], 1e-3, floor=1e-2 * largest)


@every_network
def test_a_grey_image_equals_its_normalised_copies(name):
    _, evaluate = tiny(name, **IMAGENET)
    grey = jnp.abs(image_of(channels=1))
    copies = jnp.asarray((np.asarray(grey) - MEAN) / DEVIATION, "float32")
    assert_trees_agree(evaluate(grey), evaluate(copies), 1e-4)


@every_network
def test_a_network_for_one_channel_takes_one(name):
    model, evaluate = tiny(name, channels=1)
    assert np.isfinite(evaluate(image_of(channels=1))["logits"]).all()
    with pytest.raises(models.ModelError, match="3 channels: allowed are 1 and"):
        partial_evaluation(model)(image_of())


def test_dropout_of_a_classifier_follows_the_key_of_the_call():
    model, _ = tiny("resnet", dropout=0.5)
    first, again, other = (
        trained(model, image_of(), seed)[0]["logits"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "encoder"), [("resnet", "tiny_basic"), ("densenet", "tiny_dense")]
)
def test_a_classifiers_names_are_its_bare_encoders_and_a_head(name, encoder):
    """The same as of frames that vote, whose names PyTorch's own record has."""
    vote = nnx.eval_shape(lambda: build_tiny("frame_vote", encoder, patterns=OUTPUTS))
    ours, theirs = (
        {key: slot.shape for key, slot in torch_weights.expected(model).items()}
        for model in (tiny(name)[0], vote)
    )
    assert ours == theirs
    head = {key for key in ours if key.split(".")[0] in ("fc", "classifier")}
    bare = torch_weights.expected(tiny(name)[0], part="encoder")
    assert len(head) == 2 and ours.keys() - head == bare.keys()


@pytest.mark.parametrize("name", ["resnet", "densenet"])
def test_an_encoder_loads_from_a_classifier_of_more_classes(name):
    more = nnx.eval_shape(
        lambda: models.build(TINY[name][0], patterns=9, width=8, rngs=first_keys(0))
    )
    state = state_for(more)
    model = models.build(TINY[name][0], patterns=2, width=8, rngs=nnx.Rngs(0))
    with pytest.raises(models.ModelError, match="wrong 2"):
        torch_weights.load(model, state)
    report = torch_weights.load(model, state, part="encoder")
    assert sum(report.ignored.values()) == 2
    torch_weights.load(more, state)
    kernels = [m.encoder.stem.conv.kernel[...] for m in (model, more)]
    np.testing.assert_array_equal(*kernels)


def state_for(model):
    rng = np.random.default_rng(5)
    slots = torch_weights.expected(model)
    drawn = {n: rng.uniform(0.5, 1.5, s.shape) for n, s in slots.items() if s.shape}
    return {n: (v - 0.5 * ("var" not in n)).astype("float32") for n, v in drawn.items()}


def test_the_names_and_shapes_of_the_unet_are_the_studys():
    model = nnx.eval_shape(
        lambda: models.build("unet", patterns=1, channels=1, rngs=first_keys(0))
    )
    slots = torch_weights.expected(model)
    lines = sorted(f"{key} {list(slot.shape)}" for key, slot in slots.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert digest == "313b117147b9c68a"


def hand_unet(state, image):
    """The network of depth 1 from its PyTorch names, with SciPy's correlation."""

    def convolved(x, name):
        weight = state[f"{name}.weight"]
        return np.stack(
            [
                sum(correlate2d(x[c], kernel[c], "same") for c in range(len(x)))
                for kernel in weight
            ]
        )

    def normalised(x, name):
        scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
        centred = x - state[f"{name}.running_mean"][:, None, None]
        return centred * scale[:, None, None] + state[f"{name}.bias"][:, None, None]

    def block(x, name):
        for number in "12":
            x = convolved(x, f"{name}_conv{number}")
            x = np.maximum(normalised(x, f"{name}_bn{number}"), 0)
        return x

    beside = block(image, "encoder1.enc1")
    _, height, width = beside.shape
    x = beside.reshape(-1, height // 2, 2, width // 2, 2).max((2, 4))
    x = block(x, "bottleneck.bottleneck")
    up = np.zeros((len(beside), height, width))
    for row in range(2):
        for column in range(2):
            weight = state["upconv1.weight"][:, :, row, column]
            up[:, row::2, column::2] = np.einsum("chw,ck->khw", x, weight)
    up += state["upconv1.bias"][:, None, None]
    x = block(np.concatenate([up, beside]), "decoder1.dec1")
    return convolved(x, "conv") + state["conv.bias"][:, None, None]


def test_the_unet_is_what_a_hand_computes_from_pytorchs_weights():
    model = models.build("unet", width=2, depth=1, patterns=2, rngs=nnx.Rngs(0))
    state = state_for(model)
    torch_weights.load(model, state)
    image = np.random.default_rng(1).standard_normal((6, 4, 3))
    out = partial_evaluation(model)(jnp.asarray(image[None], "float32"))["logits"][0]
    exact = {name: value.astype("float64") for name, value in state.items()}
    hand = hand_unet(exact, image.transpose(2, 0, 1)).transpose(1, 2, 0)
    np.testing.assert_allclose(out, hand, rtol=1e-4)


def test_what_the_unet_fills_up_is_cut_off_and_sides_that_fit_stay():
    _, evaluate = tiny("unet")
    image = image_of()
    filled = jnp.pad(image, ((0, 0), (0, 2), (0, 3), (0, 0)), mode="edge")
    whole, cut = evaluate(filled)["logits"], evaluate(image)["logits"]
    np.testing.assert_allclose(cut, whole[:, :HEIGHT, :WIDTH], atol=CLOSE)
    assert evaluate(image[:, :1, :2])["logits"].shape == (4, 1, 2, OUTPUTS)


def test_a_transposed_convolution_is_xlas():
    up = UpConv(models.Given(nnx.Rngs(0)), 3, 5)
    image = image_of()
    kernel = up.kernel[...].reshape(3, 2, 2, 5).transpose(1, 2, 0, 3)
    theirs = jax.lax.conv_transpose(
        image,
        kernel[::-1, ::-1],
        (2, 2),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    ours = up(image)
    np.testing.assert_allclose(ours, theirs + up.bias[...], atol=CLOSE)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("unet", {"depth": 0}, "depth=0: allowed is 1 or more"),
        ("unet", {"width": -2}, "width=-2"),
        (
            "unet",
            {"heads": 4},
            "'heads' of 'unet': .* depth, encoder, norm, width;",
        ),
        ("resnet18", {"width": 7}, "width=7.*even"),
        ("resnet18", {"dropout": 1.0}, "dropout=1.0"),
        ("densenet121", {"encoder": "resnet18"}, "allowed are dropout, width;"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(name, options, words):
    with pytest.raises(models.ModelError, match=words):
        nnx.eval_shape(lambda: models.build(name, **options, rngs=first_keys(0)))
