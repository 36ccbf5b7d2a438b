"""Grad-CAM at any stage of any network with an encoder, for clips and for images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.explain import small
from tests.models.tiny_networks import TINY, build_tiny, draw_norms
from ultrasound_jax import models
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see import gradcam, stages
from ultrasound_jax.explain.see.views import make_look
from ultrasound_jax.models._parts.encoders import stage_maps

SIDE = 32


def image_of(rows=2, channels=1, seed=0):
    shape = (rows, SIDE, SIDE, channels)
    return jnp.asarray(np.random.default_rng(seed).random(shape), "float32")


@pytest.fixture(scope="module")
def classifier():
    """A small image network with drawn norms, in its evaluation view."""
    name = TINY["tiny_basic"]
    model = models.build(
        "image_classifier", encoder=name, width=8, patterns=3, rngs=nnx.Rngs(0)
    )
    draw_norms(model)
    return small.evaluated(model)


@pytest.mark.parametrize("name", ["tiny_basic", "tiny_dense", "tiny_lite"])
def test_an_encoders_stages_grow_coarser_and_end_with_its_feature_map(name):
    model = small.evaluated(build_tiny("frame_vote", name))
    graphdef, state = nnx.split(model.encoder)

    @jax.jit
    def both(state, image):
        encoder = nnx.merge(graphdef, state)
        return stage_maps(encoder, image), encoder.feature_map(image)

    found, last = both(state, image_of(channels=3))
    sides = [one.shape[1] for one in found]
    assert len(sides) >= 2 and sides == sorted(sides, reverse=True)
    assert sides[0] > sides[-1]
    np.testing.assert_allclose(found[-1], last, rtol=1e-6)


def test_an_encoder_that_names_no_stages_has_its_feature_map():
    class Own(nnx.Module):
        features = 1

        def feature_map(self, image, mask=None):
            return image[..., :1]

        def __call__(self, image, mask=None):
            return self.feature_map(image).mean((1, 2))

    (found,) = stage_maps(Own(), image_of())
    assert found.shape == (2, SIDE, SIDE, 1)


@pytest.mark.parametrize("stage", [0, 1])
def test_a_map_is_the_stage_weighted_by_the_mean_gradient_of_the_logit(
    classifier, stage
):
    """By hand: the network from the stage on, differentiated by JAX itself."""
    graphdef, state = nnx.split(classifier)
    image = image_of(channels=3)
    weights = jnp.asarray([[1.0, 0, 0], [0, 0, 1.0]])

    @jax.jit
    def ours(state, image):
        found = gradcam.behind(graphdef, state, {"image": image}, stage)
        return found.outputs["logits"], gradcam.of_pictures(found, weights)

    def from_stage(state, x):
        model = nnx.merge(graphdef, state)
        blocks = [block for one in model.encoder.stages[stage + 1 :] for block in one]
        for block in blocks:
            x = block(x, None)
        return model.classifier(x.mean((1, 2)))

    @jax.jit
    def theirs(state, image):
        x = stage_maps(nnx.merge(graphdef, state).encoder, image)[stage]
        logits, pull = jax.vjp(lambda x: from_stage(state, x), x)
        channels = pull(weights)[0].mean((1, 2))
        return logits, jnp.maximum((channels[:, None, None] * x).sum(-1), 0)

    (logits, maps), (wanted_logits, wanted) = ours(state, image), theirs(state, image)
    np.testing.assert_allclose(logits, wanted_logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps, wanted, rtol=1e-3, atol=1e-5 * wanted.max())
    assert float(wanted.max()) > 0


def test_each_convolution_of_the_breast_network_is_a_stage():
    model = models.build(
        "breast_cnn", width=2, image_shape=(SIDE, SIDE), patterns=3, rngs=nnx.Rngs(0)
    )
    graphdef, state = nnx.split(small.evaluated(model))
    shape = {"image": jax.ShapeDtypeStruct((1, SIDE, SIDE, 1), jnp.float32)}
    assert stages.cells(graphdef, state, shape) == [(32, 32), (16, 16), (8, 8), (4, 4)]


def test_a_clips_maps_are_as_fine_as_the_stage_that_is_asked_for():
    model = small.framewise("frame_vote")
    maps = {}
    for stage in (1, 2, None):
        look = make_look(model, small.task(), stage=stage)
        view = look(small.footage(lengths=(4,)), "run")
        maps[stage] = view.maps()
    assert view.map_kind == "Grad-CAM"
    np.testing.assert_array_equal(maps[2], maps[None])
    assert maps[1].shape[2] == 2 * maps[2].shape[2]
    assert maps[1].max() > 0


@pytest.mark.parametrize("stage", [0, 3, -1])
def test_a_stage_that_is_not_there_is_refused_with_those_that_are(stage):
    with pytest.raises(ExplainError, match="1: 8 x 8, 2: 4 x 4") as error:
        make_look(small.framewise("frame_vote"), small.task(), stage=stage)
    assert "\n" not in str(error.value)


def test_a_network_without_a_feature_map_has_no_stages():
    with pytest.raises(ExplainError, match="no feature map over the picture"):
        make_look(small.vivit(), small.task(), stage=1)
