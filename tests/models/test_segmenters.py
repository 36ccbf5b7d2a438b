"""The networks of masks: their sizes, names and numbers, and U-Net on any encoder."""

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
from tests.models.test_torch_reference import assert_summaries_agree, summary
from tests.models.tiny_networks import TINY as ENCODERS
from tests.models.tiny_networks import assert_trees_agree, draw_norms
from ultrasound_jax import models
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.models._parts.frozen_stages import freeze_norms, freeze_stages
from ultrasound_jax.models._parts.layers import Frozen
from ultrasound_jax.models.fusionlungnet import FusionLungNet
from ultrasound_jax.models.resnet import Bottleneck, ResNet
from ultrasound_jax.training import optim

FIXTURE = Path(__file__).parent / "fixtures" / "torch_segmenters.json"
REFERENCE = json.loads(FIXTURE.read_text())
CASES = REFERENCE["cases"]
# name: outputs, numbers that train, statistics, and a digest of the names and shapes
# of its file, without the counters of norms and the number that is never used.
PUBLISHED = {
    "mednext": (2, 5_473_930, 0, "fc9643825392c6bc"),
    "breast_segnet": (1, 49_665, 288, "ab997fbf4fde038a"),
    "fusionlungnet": (1, 46_101_701, 63_488, "44518f8713c0c06a"),
}
HEIGHT, WIDTH, OUTPUTS = 18, 21, 2  # no multiples of four: they must be filled up


class FourBottlenecks(ResNet):
    """One block a stage."""

    block, blocks = Bottleneck, (1, 1, 1, 1)


class TinyLungs(FusionLungNet):
    """On a backbone that compiles in seconds."""

    backbone = FourBottlenecks


TINY = {
    "unet_lite": ("unet", {"encoder": ENCODERS["tiny_lite"], "width": 2}),
    "unet_basic": (
        "unet",
        {"encoder": ENCODERS["tiny_basic"], "width": 2, "norm": "group"},
    ),
    "unet_plain": ("unet", {"width": 4, "depth": 1, "norm": "none"}),
    "mednext": ("mednext", {"width": 4, "depth": 1, "blocks": 1}),
    "fusionlungnet": (f"{__name__}:TinyLungs", {"width": 2}),
    "breast_segnet": ("breast_segnet", {"width": 6, "dropout": 0.0}),
    "breast_segnet_wide": (
        "breast_segnet",
        {"width": 4, "dropout": 0.0, "kernel_size": 3, "skips": True},
    ),
}
every_network = pytest.mark.parametrize("name", TINY)
CLOSE = 2e-5  # float32 sums in another order; a wrong term is 1e-2 and more


def image_of(channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.random((3, HEIGHT, WIDTH, channels)), "float32")


@cache
def tiny(name, **options):
    """The network with all its values drawn, and its compiled evaluation."""
    kind, small = TINY[name]
    given = {"patterns": OUTPUTS, **small, **options}
    model = models.build(kind, rngs=nnx.Rngs(0), **given)
    draw_norms(model)
    return model, jax.jit(partial_evaluation(model))


def stepped(model):
    """What a step computes, and the parameters and statistics that it is given."""
    graphdef, params, stats = nnx.split(viewed(model, evaluation=False), nnx.Param, ...)

    def loss(params, stats, image):
        network = nnx.merge(graphdef, params, stats, copy=True)
        out = network(image=image, rngs=nnx.Rngs(dropout=0))
        heads = [out[name] for name in sorted(out) if name.startswith("head")]
        heads = heads or [out["logits"]]
        return sum(jnp.square(head - 0.3).mean() for head in heads), out

    return jax.grad(loss, has_aux=True), (params, stats)


@cache
def trained(name, **options):
    """Outputs and gradients of a step, by their paths."""
    step, values = stepped(tiny(name, **options)[0])
    gradients, out = jax.jit(step)(*values, image_of())
    return out, nnx.to_pure_dict(gradients)


def loaded(case, **more):
    # Abstract, because every value comes from the state dict.
    options = case["options"] | more
    model = nnx.eval_shape(
        lambda: models.build(case["network"], rngs=first_keys(0), **options)
    )
    state = {
        name: random_tensor(name, slot.shape, REFERENCE["seed"])
        for name, slot in torch_weights.expected(model).items()
    }
    torch_weights.load(model, state)
    return model


def shown(case):
    shape = (4, *case["pixels"], case["options"]["channels"])
    return random_clip(shape, REFERENCE["seed"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_numbers_that_train_and_names_are_the_originals(name):
    outputs, count, statistics, known = PUBLISHED[name]
    model = nnx.eval_shape(
        lambda: models.build(name, patterns=outputs, rngs=first_keys(0))
    )
    for kind, wanted in ((nnx.Param, count), (nnx.BatchStat, statistics)):
        values = jax.tree.leaves(nnx.state(model, kind))
        assert sum(math.prod(value.shape) for value in values) == wanted
    slots = torch_weights.expected(model)
    lines = sorted(f"{key} {list(slot.shape)}" for key, slot in slots.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert digest == known


def test_the_number_that_the_original_never_uses_is_told_and_not_taken():
    model = loaded(CASES["mednext_train"])
    slots = torch_weights.expected(model)
    state = {n: random_tensor(n, s.shape, 1) for n, s in slots.items()}
    report = torch_weights.load(model, state | {"dummy_tensor": np.ones(1, "float32")})
    assert report.ignored == {"dummy_tensor": 1}


@pytest.mark.parametrize("name", [n for n in CASES if not CASES[n]["train"]])
def test_every_map_is_pytorchs_in_float64(name):
    case = CASES[name]
    with jax.enable_x64(True):
        evaluate = jax.jit(partial_evaluation(loaded(case, dtype="float64")))
        out = jax.device_get(evaluate(shown(case).astype(np.float64)))
    assert set(out) == set(case["outputs"])
    for key, (mean, spread, total) in case["outputs"].items():
        assert out[key].dtype == np.float64
        ours, scale = summary(out[key]), max(spread, abs(mean))
        # The last number is a sum, so its rounding grows with the count of entries.
        np.testing.assert_allclose(ours[:2], (mean, spread), atol=1e-9 * scale)
        np.testing.assert_allclose(
            ours[2], total, atol=1e-9 * scale * out[key].size ** 0.5
        )


# FusionLungNet has ResNet-50's fifty layers however narrow it is.
LONG = ("fusionlungnet_train",)
TRAIN = [
    pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
    for name in CASES
    if CASES[name]["train"]
]


@pytest.mark.parametrize("name", TRAIN)
def test_a_training_step_reproduces_pytorch(name):
    case = CASES[name]
    model = viewed(loaded(case), evaluation=False)
    slots = torch_weights.expected(model)
    graphdef, params, stats = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def step(params, stats):
        def loss(params):
            model = nnx.merge(graphdef, params, stats, copy=True)
            out = model(jnp.asarray(shown(case)), rngs=nnx.Rngs(dropout=0))
            total = sum(jnp.square(value).mean() for value in out.values())
            return total, (out, nnx.state(model, ...))

        return jax.grad(loss, has_aux=True)(params)

    gradients, (out, after) = step(params, stats)
    assert set(out) == set(case["outputs"])
    for key, theirs in case["outputs"].items():
        assert_summaries_agree(summary(out[key]), theirs, out[key].size)
    nnx.update(model, after)
    for key, theirs in case["running"].items():
        values = slots[key].variable[...]
        assert_summaries_agree(summary(values), theirs, values.size)
    nnx.update(model, gradients)
    largest = max(case["gradient_norms"].values())
    assert set(case["gradient_norms"]) <= set(slots)
    for key, theirs in case["gradient_norms"].items():
        ours = float(jnp.linalg.norm(slots[key].variable[...].ravel()))
        assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-5 * largest), key


@every_network
def test_maps_are_as_large_as_the_image_or_a_part_of_it(name):
    out = tiny(name)[1](image_of())
    shapes = {"logits": (HEIGHT, WIDTH)}
    if name == "mednext":
        shapes |= {"head0": (18, 21), "head1": (9, 11)}
    if name == "fusionlungnet":
        heads = ("refined", "head0", "head2", "head3", "head4", "head5")
        shapes |= dict.fromkeys(heads, (HEIGHT, WIDTH))
    wanted = {key: (3, *sides, OUTPUTS) for key, sides in shapes.items()}
    assert {key: value.shape for key, value in out.items()} == wanted
    assert {value.dtype for value in out.values()} == {jnp.dtype("float32")}
    if "head0" in out:
        np.testing.assert_array_equal(out["head0"], out["logits"])


@every_network
def test_every_parameter_gets_a_finite_gradient(name):
    _, gradients = trained(name)
    largest = max(np.abs(g).max() for g in jax.tree.leaves(gradients))
    assert largest > 0
    for path, gradient in jax.tree.leaves_with_path(gradients):
        place = jax.tree_util.keystr(path)
        assert np.isfinite(gradient).all(), place
        assert np.abs(gradient).max() > 0, place


@every_network
def test_evaluation_is_deterministic_and_rows_do_not_meet(name):
    model, evaluate = tiny(name)
    out = evaluate(image_of())
    assert_trees_agree(evaluate(image_of()), out, 0)
    alone = partial_evaluation(model)(image_of()[1:2])  # eager, so jit is compared too
    assert_trees_agree(alone, jax.tree.map(lambda a: a[1:2], out), CLOSE)


@every_network
def test_bfloat16_is_near_float32(name):
    exact = tiny(name)[1](image_of())["logits"]
    out = tiny(name, dtype="bfloat16")[1](image_of())["logits"]
    # bfloat16 has 8 bits: 0.4 % a rounding, some tens of roundings deep.
    np.testing.assert_allclose(out, exact, atol=0.1 * np.abs(exact).max())
    assert out.dtype == jnp.float32


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "fusionlungnet" else name
        for name in TINY
    ],
)
def test_rematerialising_changes_no_value_and_no_gradient(name):
    plain, remat = trained(name), trained(name, remat=True)
    assert_trees_agree(remat[0], plain[0], CLOSE)
    largest = max(np.abs(g).max() for g in jax.tree.leaves(plain[1]))
    # Gradients through batch statistics subtract large terms.
    assert_trees_agree(remat[1], plain[1], 1e-3, floor=1e-2 * largest)


@every_network
def test_a_step_lowers_for_cuda_in_bfloat16(name):
    kind, small = TINY[name]
    model = nnx.eval_shape(
        lambda: models.build(
            kind, rngs=first_keys(0), patterns=OUTPUTS, dtype="bfloat16", **small
        )
    )
    step, values = stepped(model)
    traced = jax.jit(lambda *given: step(*given)[0]).trace(*values, image_of())
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert "func.func public @main" in text


@cache
def small_unet():
    return nnx.eval_shape(
        lambda: models.build("unet", encoder="resnet18", rngs=first_keys(0))
    )


def test_an_encoder_of_imagenet_starts_a_unet():
    model = small_unet()
    slots = torch_weights.expected(model, part="encoder")
    state = {n: random_tensor(n, s.shape, 1) for n, s in slots.items()}
    state |= {"fc.weight": np.zeros((1000, 512)), "fc.bias": np.zeros(1000)}
    report = torch_weights.load(nnx.clone(model), state, part="encoder")
    assert (report.tensors, report.ignored) == (len(slots), {"fc": 2})
    assert set(report.fresh) >= {"decoder1", "upconv1", "conv"}


def test_the_stages_and_norms_of_a_unets_encoder_can_be_kept():
    model = nnx.clone(small_unet())
    freeze_stages(model, 2)
    freeze_norms(model)
    kept = nnx.to_flat_state(nnx.state(model, Frozen))
    assert {path[:2] for path, _ in kept} == {
        ("encoder", "stem"),
        ("encoder", "stages"),
    }
    assert model.encoder.stages[3][0].norm1.frozen
    assert not model.decoders[0].norm1.frozen
    optimizer = optim.slower_encoder(0.1)
    optimizer.init(nnx.state(model, nnx.Param))  # it has one
    with pytest.raises(models.ModelError, match="frozen_stages=1.*UNet has no encoder"):
        freeze_stages(tiny("unet_plain")[0], 1)


def test_what_no_map_is_made_of_is_not_trained():
    model = nnx.eval_shape(
        lambda: models.build("unet", encoder="efficientnet_lite0", rngs=first_keys(0))
    )
    frozen = nnx.to_flat_state(nnx.state(model, Frozen))
    assert {path[:2] for path, _ in frozen} == {("encoder", "head")}
    # They are part of the published file all the same.
    assert "_conv_head.weight" in torch_weights.expected(model, part="encoder")


def test_pixels_are_scaled_as_the_original_has_them():
    grey = image_of()
    about = models.normalisation("fusionlungnet")
    assert about == ((0.485,) * 3, (0.229,) * 3)
    scale = {"grey_scale": about.scale, "grey_offset": about.offset}
    ours = tiny("fusionlungnet", **scale)[1](grey)["head5"]
    copies = jnp.repeat((grey - 0.485) / 0.229, 3, -1)
    assert_trees_agree(ours, tiny("fusionlungnet")[1](copies)["head5"], 1e-4)
    for name in ("mednext", "breast_segnet"):
        assert models.normalisation(name) == ((0.0,), (1.0,))


def test_the_published_network_of_the_breast_sees_eight_by_eight_pixels():
    """And with kernels of 3 and skips it sees beyond."""
    for name, wide in (("breast_segnet", False), ("breast_segnet_wide", True)):
        _, evaluate = tiny(name)
        image = image_of()
        other = image.at[:, :8, :8].set(0)
        change = np.abs(evaluate(other)["logits"] - evaluate(image)["logits"])
        assert change[:, :8, :8].max() > 0
        assert (change[:, 8:].max() > 0) == (change[:, :, 8:].max() > 0) == wide


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("unet", {"norm": "layer"}, "norm='layer'.*batch, group, instance, none"),
        ("unet", {"encoder": "vgg"}, "encoder='vgg'.*densenet121"),
        ("unet", {"encoder": "resnet18", "depth": 4}, "depth=4.*None, or 5 as"),
        ("unet", {"encoder": "resnet18", "width": 0}, "width=0"),
        ("unet", {"depth": 8}, "depth=8: allowed is 1 to 7"),
        ("mednext", {"blocks": 0}, "blocks=0"),
        ("mednext", {"depth": 9}, "depth=9: allowed is 1 to 7"),
        ("mednext", {"kernel_size": 5}, "'kernel_size' of 'mednext': allowed are"),
        ("fusionlungnet", {"width": 7}, "width=7.*even"),
        ("breast_segnet", {"kernel_size": 5}, "kernel_size=5: allowed is 1 or 3"),
        ("breast_segnet", {"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(name, options, words):
    with pytest.raises(models.ModelError, match=words) as error:
        nnx.eval_shape(lambda: models.build(name, **options, rngs=first_keys(0)))
    assert "\n" not in str(error.value)
