"""The losses of a segmentation by name, their options, and parts of a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from scipy import signal

from tests.tasks.made import image_spec
from ultrasound_jax import tasks
from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.tasks._mask_terms import TERMS, USUAL, MaskTerms
from ultrasound_jax.training import sharding, steps

RNG = np.random.default_rng(3)
SIDE = 12
SPEC = image_spec(("x",), side=SIDE)
MASK = (RNG.random((4, SIDE, SIDE, 1)) < 0.3).astype(np.uint8)
MASK[2] = 0
HEADS = {
    f"head{i}": RNG.normal(size=(4, SIDE, SIDE, 1)).astype(np.float32)
    for i in (0, 2, 3, 4, 5)
}
ALL_TERMS = dict.fromkeys(TERMS, 1.0)


def task(spec=SPEC, **options):
    return tasks.build("segmentation", spec, options=options)


def losses(of, outputs, mask=MASK, index=None):
    index = np.arange(len(mask)) if index is None else np.array(index)
    fields = {"mask": jnp.asarray(mask), "index": jnp.asarray(index)}
    outputs = {name: jnp.asarray(found) for name, found in outputs.items()}
    outputs.setdefault("logits", outputs.get("head0"))
    return jax.jit(of.loss)(outputs, fields)


def total(terms):
    return sum(float(term.total / term.weight) for term in terms.values())


def test_focal_dice_is_pu2756s_formula():
    z, m = HEADS["head0"].astype(float), MASK.astype(float)
    p = 1 / (1 + np.exp(-z))
    focal = -0.25 * m * (1 - p) ** 2 * np.log(p + 1e-12)
    focal -= 0.75 * (1 - m) * p**2 * np.log(1 - p + 1e-12)
    dice = 1 - (2 * (p * m).sum() + 1) / (p.sum() + m.sum() + 1)
    found = losses(task(loss="focal_dice"), {"logits": HEADS["head0"]})
    assert set(found) == {"dice", "focal"}
    assert total(found) == pytest.approx(20 * focal.mean() + dice, rel=1e-5)


def published_map(z, t):
    """FusionLungNet's loss of a map of logits, with a 1 in both parts of its IoU."""
    o = 1 / (1 + np.exp(-z))
    square = np.square(np.arange(-5, 6) / 1.5)
    window = np.exp(-0.5 * (square[:, None] + square))
    window /= window.sum()
    likeness = []
    for x, y in zip(o[..., 0], t[..., 0], strict=True):
        a, b, xx, yy, xy = (
            signal.convolve2d(i, window, "same") for i in (x, y, x * x, y * y, x * y)
        )
        top = (2 * a * b + 0.01**2) * (2 * (xy - a * b) + 0.03**2)
        below = (a**2 + b**2 + 0.01**2) * (xx - a**2 + yy - b**2 + 0.03**2)
        likeness.append((top / below).mean())
    axes = (1, 2, 3)
    hit, either = (o * t).sum(axes), (o + t - o * t).sum(axes)
    iou = (1 - (hit + 1) / (either + 1)).mean()
    focal = -t * (1 - o) ** 3 * np.log(o) - 0.3 * (1 - t) * o**3 * np.log(1 - o)
    return 1 - np.mean(likeness) + iou + focal.mean()


def test_fusionlungnet_is_its_formula_over_five_maps():
    t = MASK.astype(float)
    expected = np.mean([published_map(z.astype(float), t) for z in HEADS.values()])
    found = losses(task(loss="fusionlungnet"), HEADS)
    assert set(found) == {"focal", "ssim", "iou"}
    assert total(found) == pytest.approx(expected, rel=1e-5)
    alone = losses(task(loss="fusionlungnet", heads="logits"), HEADS)
    first = published_map(HEADS["head0"].astype(float), t)
    assert total(alone) == pytest.approx(first, rel=1e-5)


def test_heads_are_brought_to_the_size_of_the_mask():
    small = np.array([0.0, 4.0], np.float32).reshape(1, 2, 1, 1)
    wide = np.array([0.0, 1.0, 3.0, 4.0], np.float32)
    wide = np.broadcast_to(wide.reshape(1, 4, 1, 1), (1, 4, 4, 1))
    mask = MASK[:1, :4, :4]
    of = task(image_spec(("x",), side=4), dice_over="batch")
    found = losses(of, {"head0": wide, "head1": small}, mask)
    expected = losses(of, {"logits": wide}, mask)
    for name, term in found.items():
        np.testing.assert_allclose(term.total, expected[name].total, rtol=1e-5)


def test_a_head_of_another_width_is_refused():
    with pytest.raises(tasks.TaskError, match=r"head1 is \(4, 6, 6, 2\); it must be"):
        losses(task(), HEADS | {"head1": np.zeros((4, 6, 6, 2), np.float32)})


@pytest.mark.parametrize("masked", [("a",), ("a", "b")])
def test_filling_rows_count_in_no_term_and_have_no_gradient(masked):
    of = task(image_spec(("x",), side=SIDE, masked=masked), **ALL_TERMS)
    shape = (4, SIDE, SIDE, of.outputs)
    logits = RNG.normal(size=shape).astype(np.float32)
    whole = losses(of, {"logits": logits[:2]}, MASK[:2])
    logits[2:] = np.nan
    index = [0, 1, -1, -1]

    def loss(logits):
        return sum(
            t.total for t in losses(of, {"logits": logits}, MASK, index).values()
        )

    found = losses(of, {"logits": logits}, MASK, index)
    assert set(found) == set(TERMS)
    for name, term in found.items():
        assert float(term.weight) == 2 and not term.per_example[2:].any()
        np.testing.assert_allclose(term.total, whole[name].total, rtol=1e-6)
    gradient = jax.jit(jax.grad(loss))(jnp.asarray(logits))
    assert np.isfinite(gradient).all() and not gradient[2:].any()
    assert gradient[:2].any()


def test_parts_of_a_batch_add_up():
    of = task(**ALL_TERMS)
    whole = losses(of, HEADS)
    halves = [
        losses(of, {k: v[rows] for k, v in HEADS.items()}, MASK[rows])
        for rows in (slice(0, 2), slice(2, 4))
    ]
    for name, term in whole.items():
        parts = halves[0][name].total + halves[1][name].total
        np.testing.assert_allclose(parts, term.total, rtol=1e-5)


class Twice(nnx.Module):
    """Two maps of an image, the second at half of its size."""

    def __init__(self):
        self.scale, self.bias = nnx.Param(jnp.ones(2)), nnx.Param(jnp.zeros(2))

    def __call__(self, image, *, rngs=None):
        scale, bias = self.scale[...], self.bias[...]
        logits = image * scale[0] + bias[0]
        return {
            "logits": logits,
            "head0": logits,
            "head1": image[:, ::2, ::2] * scale[1] + bias[1],
        }


def stepped(of, *, devices=1, accumulate=1):
    """The loss of a step, and the parameters after it."""
    mesh = jax.sharding.Mesh(jax.devices()[:devices], ("data",))
    rows = {
        "image": np.random.default_rng(0).integers(
            0, 255, (8, SIDE, SIDE, 1), np.uint8
        ),
        "mask": np.concatenate([MASK, MASK]),
        "index": np.array([*range(7), -1], np.int32),
    }
    net, params, stats = steps.split(Twice())
    optimizer = optax.sgd(0.1)
    state = steps.init_state(params, stats, optimizer, averaged=False)
    step = steps.make_train_step(
        net,
        of,
        optimizer,
        augment=lambda fields, roles, key: fields,
        seed=0,
        accumulate=accumulate,
    )
    state = sharding.replicate(state, mesh)
    compiled = steps.compile_train_step(step, state, rows, mesh)
    state, terms = compiled(state, sharding.to_device(rows, mesh), jnp.float32(1))
    leaves = jax.tree.leaves(state.params)
    return np.array([float(terms["loss"]), *np.concatenate(leaves)])


def test_four_devices_and_micro_batches_compute_what_one_device_does():
    of = task(**ALL_TERMS)
    one = stepped(of)
    np.testing.assert_allclose(stepped(of, devices=4), one, rtol=1e-5)
    np.testing.assert_allclose(stepped(of, accumulate=2), one, rtol=1e-5)


def test_sums_over_a_batch_are_those_of_all_devices_and_never_of_parts():
    of = task(loss="focal_dice")
    np.testing.assert_allclose(stepped(of, devices=4), stepped(of), rtol=1e-5)
    said = "optim.accumulate=2 is not allowed: config.task.options.dice_over='batch'"
    with pytest.raises(steps.StepError, match=said):
        stepped(of, accumulate=2)
    stepped(task(loss="focal_dice", dice_over="example"), accumulate=2)


def test_every_term_lowers_for_cuda():
    of = task(image_spec(("x",), side=SIDE, masked=("a", "b")), **ALL_TERMS)

    def loss(logits, mask, index):
        terms = of.loss({"logits": logits}, {"mask": mask, "index": index})
        return sum(term.total for term in terms.values())

    shapes = (
        jax.ShapeDtypeStruct((2, SIDE, SIDE, 3), jnp.bfloat16),
        jax.ShapeDtypeStruct((2, SIDE, SIDE, 1), jnp.uint8),
        jax.ShapeDtypeStruct((2,), jnp.int32),
    )
    traced = jax.jit(jax.grad(loss)).trace(*shapes)
    assert "custom_call" not in traced.lower(lowering_platforms=("cuda",)).as_text()


def test_a_named_loss_takes_what_is_given_in_its_place():
    of = task(loss="focal_dice", focal=5, boundary=0.01, focal_alpha=[0.5, 0.5])
    assert of.terms.weights == {"dice": 1.0, "focal": 5.0, "boundary": 0.01}
    assert of.terms.focal_alpha == (0.5, 0.5) and of.terms.focal_gamma == 2.0
    assert of.terms.dice_over == "batch"
    assert task().terms.weights == {"cross_entropy": 1.0, "dice": 1.0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "bce"}, "one of cross_entropy_dice, focal_dice, fusionlungnet"),
        ({"heads": "first"}, "one of all, logits"),
        ({"dice_over": "fold"}, "one of example, batch"),
        ({"ssim": 1, "ssim_borders": "same"}, "one of zero, inside"),
        ({"focal": -1}, "focal=-1 is not allowed: it must be a number, 0 or more"),
        ({"iou": float("nan")}, "iou=nan is not allowed"),
        (
            {"focal_gamma": 2.0},
            "focal_gamma=2.0 is not used: config.task.options.focal",
        ),
        ({"ssim_borders": "inside"}, "ssim is 0"),
        ({"dice": 0, "dice_over": "batch"}, "dice is 0"),
        ({"focal": 1, "focal_alpha": [1, -1]}, "focal_alpha=-1 is not allowed"),
        ({"cross_entropy": 0, "dice": 0}, "all 0: nothing would be learnt"),
    ],
)
def test_an_option_that_cannot_be_is_one_line(options, said):
    with pytest.raises(tasks.TaskError, match=said) as error:
        task(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"iou": "much"}, "iou='much' is not allowed: it must be a number"),
        ({"focal": True}, "focal=True is not allowed"),
        ({"focal": 1, "focal_alpha": 0.25}, "it must be two numbers"),
        ({"focal": 1, "focal_constant": "yes"}, "it must be True or False"),
    ],
)
def test_a_value_of_another_type_is_refused(given, said):
    with pytest.raises(tasks.TaskError, match=said):
        MaskTerms.make(loss=USUAL, heads="all", given=given)


def test_terms_of_pictures_are_refused_of_other_masks():
    image, mask = SPEC["image"], SPEC["mask"]
    volume = Field(shape=(3, 8, 8, 1), dtype="uint8", role="mask", classes=mask.classes)
    spec = Spec({"image": image, "mask": volume}, ("image", "image"))
    for name in ("ssim", "boundary"):
        with pytest.raises(
            tasks.TaskError, match=rf"{name} is of pictures.*\(3, 8, 8\)"
        ):
            task(spec, **{name: 1.0})
    task(spec, focal=1.0, iou=1.0)
    small = image_spec(("x",), side=8)
    with pytest.raises(tasks.TaskError, match="no window of 11 pixels lies"):
        task(small, ssim=1.0, ssim_borders="inside")
    task(small, ssim=1.0)
