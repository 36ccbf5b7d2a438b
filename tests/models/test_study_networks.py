"""The networks of three published image studies: their sizes, names and numbers."""

import hashlib
import json
import math
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.reference_weights import random_clip, random_tensor
from tests.models.test_image_networks import partial_evaluation, viewed
from tests.models.test_torch_reference import (
    CLOSE,
    assert_summaries_agree,
    summary,
)
from tests.models.tiny_networks import assert_trees_agree, draw_norms
from ultrasound_jax import models
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.models.resnet_attention import GATES

FIXTURE = Path(__file__).parent / "fixtures" / "torch_images.json"
REFERENCE = json.loads(FIXTURE.read_text())
CASES = REFERENCE["cases"]
# name: outputs, how many numbers train, and a digest of the names and shapes of its
# file: without the counters of norms, and without the layer that is never called.
PUBLISHED = {
    "resnet_attention": (3, 11_894_889, "c65f328939db030d"),
    "resnet18_mlp": (1, 11_308_097, "aa97d00118687fed"),
    "autoencoder": (1, 34_359_713, "110cc307c0f8f39b"),
    "breast_cnn": (3, 8_486_787, "a66879b65e17a795"),
}
SIDE = 32
TINY = {
    "resnet_attention": {"width": 4},
    "resnet18_mlp": {"width": 4, "hidden": 6, "dropout": 0.0},
    "autoencoder": {"width": 2, "code": 12, "image_shape": (SIDE, SIDE)},
    "breast_cnn": {"width": 2, "dropout": 0.0, "image_shape": (SIDE, SIDE)},
}
every_network = pytest.mark.parametrize("name", TINY)


def flat(outputs):
    """Each array by a name of its own: those of a tuple are numbered."""
    found = {}
    for name, value in outputs.items():
        if isinstance(value, tuple):
            found |= {f"{name}.{i}": one for i, one in enumerate(value)}
        else:
            found[name] = value
    return found


def image_of(seed=0, channels=1, side=SIDE):
    shape = (4, side, side, channels)
    return jnp.asarray(np.random.default_rng(seed).random(shape), "float32")


@cache
def tiny(name, **options):
    """The network with all its values drawn, and its compiled evaluation."""
    given = {"patterns": 3, **TINY[name], **options}
    model = models.build(name, rngs=nnx.Rngs(0), **given)
    draw_norms(model)
    return model, jax.jit(partial_evaluation(model))


def trained(model, image):
    """Outputs and gradients of a step, by their paths."""
    graphdef, params, stats = nnx.split(viewed(model, evaluation=False), nnx.Param, ...)

    def loss(params):
        network = nnx.merge(graphdef, params, stats, copy=True)
        out = network(image=image, rngs=nnx.Rngs(dropout=0))
        target = jnp.linspace(0, 1, out["logits"].size).reshape(out["logits"].shape)
        return jnp.square(out["logits"] - target).sum(), out

    step = jax.jit(jax.grad(loss, has_aux=True))
    gradients, out = step(params)
    return out, nnx.to_pure_dict(gradients)


def loaded(case, **more):
    shape = (
        {} if "resnet" in case["network"] else {"image_shape": tuple(case["pixels"])}
    )
    options = case["options"] | shape | more
    # Abstract, because every value comes from the state dict.
    model = nnx.eval_shape(
        lambda: models.build(case["network"], rngs=first_keys(0), **options)
    )
    slots = torch_weights.expected(model)
    state = {
        name: random_tensor(name, slot.shape, REFERENCE["seed"])
        for name, slot in slots.items()
    }
    torch_weights.load(model, state)
    return model


def shown(case):
    shape = (4, *case["pixels"], case["options"]["channels"])
    return jnp.asarray(random_clip(shape, REFERENCE["seed"]))


def assert_outputs_agree(out, case):
    out = flat(out)
    assert set(out) == set(case["outputs"])
    if "logits" in case:
        np.testing.assert_allclose(out["logits"], case["logits"], atol=10 * CLOSE)
    for name, theirs in case["outputs"].items():
        assert_summaries_agree(summary(out[name]), theirs, out[name].size)


@every_network
def test_numbers_that_train_and_names_are_the_originals(name):
    outputs, count, known = PUBLISHED[name]
    model = nnx.eval_shape(
        lambda: models.build(name, patterns=outputs, rngs=first_keys(0))
    )
    params = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert sum(math.prod(param.shape) for param in params) == count
    slots = torch_weights.expected(model)
    lines = sorted(f"{key} {list(slot.shape)}" for key, slot in slots.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert digest == known


@pytest.mark.parametrize("name", [n for n in CASES if not CASES[n]["train"]])
def test_evaluation_reproduces_pytorch(name):
    case = CASES[name]
    evaluate = jax.jit(partial_evaluation(loaded(case)))
    assert_outputs_agree(evaluate(shown(case)), case)


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n]["train"]])
def test_a_training_step_reproduces_pytorch(name):
    case = CASES[name]
    dropout = (
        {"dropout": 0.0} if case["network"] in ("resnet18_mlp", "breast_cnn") else {}
    )
    model = viewed(loaded(case, **dropout), evaluation=False)
    slots = torch_weights.expected(model)
    graphdef, params, stats = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def step(params, stats):
        def loss(params):
            model = nnx.merge(graphdef, params, stats, copy=True)
            out = model(shown(case), rngs=nnx.Rngs(dropout=0))
            return jnp.square(out["logits"]).mean(), (out, nnx.state(model, ...))

        return jax.grad(loss, has_aux=True)(params)

    gradients, (out, after) = step(params, stats)
    assert_outputs_agree(out, case)
    nnx.update(model, after)
    for key, theirs in case["running"].items():
        values = slots[key].variable[...]
        assert_summaries_agree(summary(values), theirs, values.size)
    nnx.update(model, gradients)
    assert set(case["gradient_norms"]) <= set(slots)
    largest = max(case["gradient_norms"].values())
    for key, theirs in case["gradient_norms"].items():
        ours = float(jnp.linalg.norm(slots[key].variable[...].ravel()))
        assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-5 * largest), key


def test_the_layer_that_the_original_never_calls_is_told_and_not_taken():
    case = CASES["resnet_attention_max_softmax"]
    model = loaded(case)
    slots = torch_weights.expected(model)
    state = {n: random_tensor(n, s.shape, 1) for n, s in slots.items()}
    state |= {"fc.weight": np.zeros((3, 64), np.float32), "fc.bias": np.zeros(3)}
    report = torch_weights.load(model, state)
    assert report.ignored == {"fc": 2}
    assert "ignored 2 of fc" in str(report)
    with pytest.raises(models.ModelError, match=r"unexpected 1 \(fcc.weight\)"):
        torch_weights.load(model, state | {"fcc.weight": np.zeros(3, np.float32)})


def test_an_encoder_of_imagenet_starts_the_networks_of_resnet():
    for name in ("resnet_attention", "resnet18_mlp"):
        model, _ = tiny(name)
        slots = torch_weights.expected(model, part="encoder")
        state = {n: random_tensor(n, s.shape, 1) for n, s in slots.items()}
        state["conv1.weight"] = random_tensor("conv1.weight", (4, 3, 7, 7), 1)
        state |= {"fc.weight": np.zeros((1000, 32)), "fc.bias": np.zeros(1000)}
        report = torch_weights.load(nnx.clone(model), state, part="encoder")
        assert (report.tensors, report.ignored) == (len(slots), {"fc": 2})


@every_network
def test_every_parameter_gets_a_gradient(name):
    # A softmax does not see what is added to all its inputs.
    unseen = "psi']['bias'" if name == "resnet_attention" else "none"
    _, gradients = trained(tiny(name)[0], image_of())
    largest = max(np.abs(g).max() for g in jax.tree.leaves(gradients))
    for path, gradient in jax.tree.leaves_with_path(gradients):
        place = jax.tree_util.keystr(path)
        assert np.isfinite(gradient).all(), place
        if unseen in place:
            assert np.abs(gradient).max() < 1e-5 * largest
        else:
            assert np.abs(gradient).max() > 0, place


@every_network
def test_evaluation_is_deterministic_and_rows_do_not_meet(name):
    model, evaluate = tiny(name)
    out = evaluate(image_of())
    assert_trees_agree(evaluate(image_of()), out, 0)
    alone = partial_evaluation(model)(image_of()[1:2])
    assert_trees_agree(alone, jax.tree.map(lambda a: a[1:2], out), 2e-5)


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
    assert_trees_agree(remat[0], plain[0], 2e-5)
    largest = max(np.abs(g).max() for g in jax.tree.leaves(plain[1]))
    assert_trees_agree(remat[1], plain[1], 1e-3, floor=1e-2 * largest)


def test_pixels_are_scaled_as_the_original_has_them():
    """(pixel - 0.5) / 0.5 of one channel; without a scale pixels are normalised."""
    about = models.normalisation("resnet_attention")
    scale = {"grey_scale": about.scale, "grey_offset": about.offset}
    pixels = image_of()
    ours = tiny("resnet_attention", **scale)[1](pixels)
    theirs = tiny("resnet_attention")[1]((pixels - 0.5) / 0.5)
    assert_trees_agree(ours, theirs, 2e-5)
    for name in ("autoencoder", "breast_cnn"):
        about = models.normalisation(name)
        scale = {"grey_scale": about.scale, "grey_offset": about.offset}
        as_it_is = tiny(name)[1](pixels)
        assert_trees_agree(tiny(name, **scale)[1](pixels), as_it_is, 0)


@pytest.mark.parametrize("gate", GATES)
def test_gates_are_as_wide_as_their_formulas_allow(gate):
    gates = tiny("resnet_attention", gate=gate)[1](image_of(side=64))["gates"]
    assert [g.shape for g in gates] == [(4, 8, 8), (4, 4, 4)]
    for one in map(np.asarray, gates):
        if gate == "published":  # the sigmoid of what adds up to one over the places
            inside = np.log(one) - np.log1p(-one)
            np.testing.assert_allclose(inside.sum((1, 2)), 1, atol=1e-4)
            assert (one >= 0.5).all() and (one <= 0.7311).all()
        elif gate == "max_softmax":
            np.testing.assert_array_equal(one.max((1, 2)), 1)
        else:
            assert 0 < one.min() and one.max() < 0.99, "not the constant 1"


def test_the_maps_explain_the_logits_exactly():
    """By linearity: averaged maps times their weights, and a constant of each class."""
    model, evaluate = tiny("resnet_attention")
    out = evaluate(image_of())
    weights = model.map_weights()
    said = sum(
        np.asarray(level).mean((1, 2)) @ np.asarray(weight)
        for level, weight in zip(out["pyramid"], weights, strict=True)
    )
    rest = np.asarray(out["logits"]) - said
    np.testing.assert_allclose(rest, np.broadcast_to(rest[:1], rest.shape), atol=1e-5)


def test_the_image_is_made_of_the_code_alone():
    model, evaluate = tiny("autoencoder")
    out = evaluate(image_of())
    assert out["image"].shape == (4, SIDE, SIDE, 1) and out["code"].shape == (4, 12)
    assert (np.asarray(out["code"]) >= 0).all()
    np.testing.assert_allclose(out["image"], jax.nn.sigmoid(out["logits"]), atol=1e-6)
    cut = nnx.clone(model)
    cut.from_code.kernel[...] = jnp.zeros_like(cut.from_code.kernel[...])
    same = np.asarray(partial_evaluation(cut)(image_of())["image"])
    np.testing.assert_array_equal(same, np.broadcast_to(same[:1], same.shape))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet_attention", {"gate": "soft"}, "gate='soft'.*published, max_softmax"),
        ("resnet_attention", {"heads": 4}, "'heads' of 'resnet_attention'"),
        ("resnet18_mlp", {"hidden": 0}, "hidden=0: allowed is 1 or more"),
        ("resnet18_mlp", {"dropout": 1.0}, "dropout=1.0"),
        ("autoencoder", {"image_shape": (48, 64)}, "image_shape=.*multiples of 32"),
        ("autoencoder", {"code": -1}, "code=-1"),
        ("breast_cnn", {"image_shape": (8, 64)}, "image_shape=.*each 16 or more"),
        ("breast_cnn", {"clip_shape": (2, 64, 64)}, "image_shape="),
        ("breast_cnn", {"width": 0}, "width=0"),
        ("breast_cnn", {"grey_scale": (1.0, 1.0)}, "grey_scale=.*None or one number"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(name, options, words):
    with pytest.raises(models.ModelError, match=words) as error:
        nnx.eval_shape(lambda: models.build(name, **options, rngs=first_keys(0)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["autoencoder", "breast_cnn"])
def test_images_of_another_size_are_refused(name):
    with pytest.raises(models.ModelError, match="64x64: allowed are 32x32"):
        partial_evaluation(tiny(name)[0])(image_of(side=64))
