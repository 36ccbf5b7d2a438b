"""Maps of still images: exact ones, by gradients, and of networks of one logit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.explain import small
from tests.models.tiny_networks import draw_norms
from ultrasound_jax import models, tasks
from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see import exact
from ultrasound_jax.explain.see.image_maps import PREDICTED, make_look, true_class

SIDE, CLASSES = 32, ("benign", "malignant", "normal")


def task_of(name="multiclass", classes=CLASSES, **options):
    image = Field(shape=(SIDE, SIDE, 1), dtype="uint8", role="pixels")
    labels = Field(
        shape=(len(classes),), dtype="int8", role="labels", classes=tuple(classes)
    )
    spec = Spec({"image": image, "labels": labels}, ("image", "image"))
    return tasks.build(name, spec, options=options)


def network(name, outputs=3, **options):
    model = models.build(
        name, patterns=outputs, width=4, channels=1, rngs=nnx.Rngs(0), **options
    )
    draw_norms(model)
    return small.evaluated(model)


def batch_of(rows=3, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (rows, SIDE, SIDE, 1), np.uint8)
    return {
        "image": image,
        "labels": np.zeros((rows, 3), np.int8),
        "index": np.arange(rows, dtype=np.int32),
    }


@pytest.fixture(scope="module")
def gated():
    return network("resnet_attention", gate="max_softmax")


@pytest.fixture(scope="module")
def look(gated):
    return make_look(gated, task_of())


def test_the_levels_averages_and_a_constant_of_the_class_are_its_logit(gated):
    """In NumPy, from the published layers alone: no inversion of any class."""
    image = jnp.asarray(batch_of()["image"], jnp.float32) / 255
    graphdef, state = nnx.split(gated)

    @jax.jit
    def run(state, image):
        model = nnx.merge(graphdef, state)
        outputs = model(image)
        levels = [
            exact.level_maps(model, outputs, jnp.broadcast_to(chosen, (3, 3)))
            for chosen in jnp.eye(3)
        ]
        return outputs["logits"], levels

    logits, levels = run(state, image)
    last = np.asarray(gated.classifier.kernel[...], np.float64)
    said = [np.asarray(head.bias[...], np.float64) for head in gated.heads]
    constant = np.concatenate(said) @ last + np.asarray(gated.classifier.bias[...])
    for k in range(3):
        assert [one.shape[1] for one in levels[k]] == [4, 2, 1]
        found = sum(np.asarray(one, np.float64).mean((1, 2)) for one in levels[k])
        np.testing.assert_allclose(found + constant[k], logits[:, k], rtol=1e-4)


def test_the_map_is_the_sum_of_its_levels_at_the_images_size():
    flat = [np.full((1, 4, 4), 0.25), np.full((1, 2, 2), -1.0), np.ones((1, 1, 1))]
    firsts = [(3.5, 3.5), (7.5, 7.5), (15.5, 15.5)]
    found = exact.summed(flat, (SIDE, SIDE), firsts)
    np.testing.assert_allclose(found, np.full((1, SIDE, SIDE), 0.25), atol=1e-6)
    corner = np.zeros((1, 4, 4))
    corner[0, 0, 3] = 1.0
    found = exact.summed([corner], (SIDE, SIDE), firsts[:1])[0]
    assert np.unravel_index(found.argmax(), found.shape)[0] < SIDE // 4
    assert np.unravel_index(found.argmax(), found.shape)[1] >= 3 * SIDE // 4


def test_maps_are_exact_where_the_network_has_such_and_nothing_else_is_asked(look):
    assert (look.method, look.stage) == ("exact", None)
    seen = look.see(batch_of(), np.full(3, PREDICTED, np.int32))
    assert seen.maps.shape == (3, SIDE, SIDE)
    np.testing.assert_array_equal(seen.chosen, seen.scores.argmax(1))
    np.testing.assert_allclose(seen.scores.sum(1), 1, rtol=1e-5)


def test_each_image_has_the_map_of_the_class_that_is_asked_for(look):
    each = [look.see(batch_of(), np.full(3, k, np.int32)).maps for k in range(3)]
    mixed = look.see(batch_of(), np.array([2, 0, 1], np.int32))
    assert mixed.chosen.tolist() == [2, 0, 1]
    for row, k in enumerate((2, 0, 1)):
        np.testing.assert_allclose(mixed.maps[row], each[k][row], rtol=1e-4, atol=1e-6)


def test_a_row_of_a_batch_is_seen_as_it_is_alone(look):
    whole = look.see(batch_of(), np.full(3, 1, np.int32))
    alone = {name: np.repeat(v[1:2], 3, 0) for name, v in batch_of().items()}
    single = look.see(alone, np.full(3, 1, np.int32))
    close = {"rtol": 1e-3, "atol": 1e-5 * np.abs(whole.maps).max()}
    np.testing.assert_allclose(single.maps[0], whole.maps[1], **close)


def test_a_stage_asks_for_gradients_and_finer_ones_are_finer(gated):
    look = make_look(gated, task_of(), stage=2)
    assert (look.method, look.stage, look.cells) == ("gradcam", 2, (4, 4))
    assert look.kind == "Grad-CAM at stage 2 of 4, 4 x 4 cells"
    seen = look.see(batch_of(), np.full(3, PREDICTED, np.int32))
    assert seen.maps.shape == (3, SIDE, SIDE) and seen.maps.min() >= 0


def test_the_one_logit_of_two_classes_speaks_for_the_second_and_against_the_first():
    model = network("resnet18_mlp", outputs=1, hidden=8)
    task = task_of(classes=("benign", "malignant"), loss="bce")
    look = make_look(model, task, stage=3)
    batch = batch_of() | {"labels": np.zeros((3, 2), np.int8)}
    for_it = look.see(batch, np.full(3, 1, np.int32)).maps
    against = look.see(batch, np.full(3, 0, np.int32)).maps
    assert for_it.max() > 0 or against.max() > 0
    both = look.see(batch, np.full(3, PREDICTED, np.int32))
    assert both.scores.shape == (3, 2)
    # What speaks for the one speaks against the other: no cell for both. Cells stand
    # towards the upper left, so that the last corner of the picture is one cell's own.
    assert not ((for_it > 0) & (against > 0))[:, -1, -1].any()
    assert ((for_it > 0) | (against > 0))[:, -1, -1].any()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"method": "exact", "stage": 2}, "--stage 2: exact maps are of all levels"),
        ({"stage": 9}, "1: 8 x 8, 2: 4 x 4, 3: 2 x 2, 4: 1 x 1"),
    ],
)
def test_what_a_network_cannot_show_is_refused_in_one_line(gated, asked, said):
    with pytest.raises(ExplainError, match=said):
        make_look(gated, task_of(), **asked)


def test_a_network_that_is_not_linear_behind_its_maps_has_no_exact_ones():
    with pytest.raises(ExplainError, match="allowed is gradcam"):
        make_look(network("resnet18_mlp", hidden=8), task_of(), method="exact")


def test_clips_and_classes_without_a_logit_are_refused(gated):
    with pytest.raises(ExplainError, match="maps are judged on still images"):
        make_look(gated, small.task(name="multiclass"))
    grade = Field(shape=(), dtype="int8", role="number", classes=("0", "1", "2"))
    spec = Spec({**task_of().spec, "grade": grade}, ("image", "image"))
    with pytest.raises(ExplainError, match="tells 0, 1, 2 by 2 outputs"):
        make_look(gated, tasks.build("ordinal", spec, options={}))


def test_the_true_class_is_that_of_an_image_of_exactly_one():
    rows = np.array([[0, 1, 0], [0, 0, 0], [1, 1, 0], [-1, -1, -1]], np.int8)
    assert [true_class(row) for row in rows] == [1, None, None, None]
