"""What each of the convolutional and recurrent baselines does in its own way."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.test_layers import DEVIATION, IMAGENET, MEAN
from tests.models.tiny_networks import (
    assert_trees_agree,
    build_tiny,
    clip_of,
    full_size,
    lengths_of,
    tiny,
)
from ultrasound_jax import models
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts import by_name
from ultrasound_jax.models._parts.clip_conv import (
    convolve_clip,
    fewer,
    max_pool_clip,
    pooled_size,
)
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.models._parts.layers import Frozen
from ultrasound_jax.models.cnn_lstm import LstmLayer


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def hand_softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("pooling", ["attention", "tanh_attention", "max", "mean"])
def test_usvn_pools_its_real_frames_as_it_says(pooling):
    network = tiny("usvn", "tiny_basic", pooling=pooling)
    out, model = network.evaluate(clip_of(), lengths_of(4, 2, 0)), network.model
    for row, length in ((0, 4), (1, 2)):
        frames = np.asarray(out["features"], np.float64)[row, :length]
        parts = frames.reshape(length, 8, -1)
        root = parts.shape[-1] ** 0.5
        if pooling in ("max", "mean"):
            pooled = frames.max(0) if pooling == "max" else frames.mean(0)
        else:
            if pooling == "attention":
                queries = np.asarray(model.attention.queries[...], np.float64)
                scores = (parts * queries).sum(-1).T / root
            else:
                hidden = np.asarray(model.attention.hidden[...], np.float64)
                units = np.tanh(np.einsum("thd,hud->htu", parts, hidden))
                scores = (units * np.asarray(model.attention.out[...])[:, None]).sum(-1)
            attention = hand_softmax(scores)
            pooled = np.einsum("ht,thd->hd", attention, parts).ravel()
            pooled = pooled / (root if pooling == "tanh_attention" else 1)
            np.testing.assert_allclose(
                out["attention"][row, :, :length], attention, atol=1e-5
            )
            assert not np.any(out["attention"][row, :, length:])
        kernel, bias = model.classifier.kernel[...], model.classifier.bias[...]
        hand = pooled @ np.asarray(kernel) + np.asarray(bias)
        np.testing.assert_allclose(out["logits"][row], hand, atol=1e-5)


def test_a_frozen_encoder_neither_learns_nor_counts():
    network = tiny("usvn", "tiny_basic", freeze_encoder=True)
    out, gradients, stats = network.train(clip_of(), lengths_of(4, 2, 1))
    assert set(gradients) == {"attention", "classifier"}
    assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(gradients))
    assert_trees_agree(stats, network.stats(), 0)
    # In training, too, it normalises with its running statistics.
    evaluated = network.evaluate(clip_of(), lengths_of(4, 2, 1))
    assert_trees_agree(out["features"], evaluated["features"], 1e-5)


def test_a_frozen_encoder_takes_published_weights_like_any_other():
    plain = nnx.eval_shape(lambda: build_tiny("usvn", "tiny_basic"))
    frozen = nnx.eval_shape(
        lambda: build_tiny("usvn", "tiny_basic", freeze_encoder=True)
    )
    slots = torch_weights.expected(plain)
    state = {name: abs(random(*slot.shape)) for name, slot in slots.items()}
    torch_weights.load(frozen, state)
    variables = nnx.to_flat_state(nnx.state(frozen.encoder))
    assert {type(v) for _, v in variables} == {Frozen, nnx.BatchStat}
    ours = frozen.encoder.stem.conv.kernel[...]
    theirs = state["encoder.conv1.weight"]
    np.testing.assert_array_equal(ours, theirs.transpose(2, 3, 1, 0))


def test_an_lstm_layer_is_the_textbooks():
    layer, frames = LstmLayer(3, 5, rngs=nnx.Rngs(0)), random(2, 4, 3)
    (w, b), (u, c) = (
        (np.asarray(part.kernel[...]), np.asarray(part.bias[...]))
        for part in (layer.inputs, layer.recurrent)
    )
    state = cell = np.zeros((2, 5))
    out = np.asarray(layer(jnp.asarray(frames)))
    for at in range(4):
        gates = frames[:, at] @ w + b + state @ u + c
        read, keep, new, show = np.split(gates, 4, -1)
        read, keep, show = (1 / (1 + np.exp(-gate)) for gate in (read, keep, show))
        cell = keep * cell + read * np.tanh(new)
        state = show * np.tanh(cell)
        np.testing.assert_allclose(out[:, at], state, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["usvn", "cnn_lstm", "frame_vote"])
def test_a_network_of_frames_takes_any_encoder(name):
    for encoder in by_name.names(by_name.ENCODERS):
        model = nnx.eval_shape(
            lambda encoder=encoder: models.build(
                name, encoder=encoder, width=16, rngs=first_keys(0)
            )
        )
        assert model.encoder.features > 0


@pytest.mark.parametrize(
    "window", [(3, 3, 3), (1, 3, 3), (3, 1, 1), (1, 1, 1), (5, 7, 7)]
)
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2), (1, 2, 3)])
def test_a_clips_convolution_is_xlas(window, stride):
    clip, kernel = (
        jnp.asarray(random(2, 5, 9, 8, 3)),
        jnp.asarray(random(*window, 3, 4)),
    )
    theirs = jax.lax.conv_general_dilated(
        clip,
        kernel,
        stride,
        [(size // 2, size // 2) for size in window],
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
    )
    ours = convolve_clip(clip, kernel, stride=stride)
    # Float32 sums of up to 735 products in another order.
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_clips_pool_drops_what_is_left_and_never_leaves_nothing():
    clip = np.abs(random(1, 5, 7, 1, 2))
    out = np.asarray(max_pool_clip(jnp.asarray(clip), (2, 2, 2)))
    assert out.shape == (1, 2, 3, 1, 2)
    assert out.shape[1:4] == tuple(pooled_size(size, 2) for size in (5, 7, 1))
    np.testing.assert_array_equal(out[0, 1, 2, 0], clip[0, 2:4, 4:6].max((0, 1, 2)))
    edged = np.asarray(max_pool_clip(jnp.asarray(clip), (2, 2, 2), edge=1))
    assert edged.shape == (1, 2, 4, 1, 2)
    np.testing.assert_array_equal(edged[0, 0, 0, 0], clip[0, :2, 0].max((0, 1)))


def test_a_step_that_is_partly_real_counts():
    np.testing.assert_array_equal(
        fewer(jnp.asarray([0, 1, 2, 3, 4]), 2), [0, 1, 1, 2, 2]
    )
    assert fewer(None, 2) is None


@pytest.mark.parametrize("name", ["c3d", "tiny_r2plus1d", "tiny_x3d"])
def test_a_grey_clip_equals_its_normalised_copies_up_to_the_padding(name):
    network = tiny(name, **IMAGENET)
    grey, lengths = jnp.abs(clip_of(channels=1)), lengths_of(4, 3, 1)
    copies = jnp.asarray((np.asarray(grey) - MEAN) / DEVIATION, "float32")
    ours = network.evaluate(grey, lengths)
    assert_trees_agree(ours, network.evaluate(copies, lengths), 1e-4)


def test_c3d_refuses_clips_that_it_is_not_sized_for():
    network = tiny("c3d")
    with pytest.raises(models.ModelError, match="5 frames of 20x20.*up to 4"):
        network.evaluate(jnp.zeros((1, 5, 20, 20, 3)))
    with pytest.raises(models.ModelError, match="clip_shape"):
        models.build("c3d", clip_shape=(0, 20, 20), rngs=nnx.Rngs(0))


def test_x3d_s_has_the_published_parameters():
    # Counted from the architecture's table, with the 400 classes of Kinetics.
    def block(inputs, outputs, inner, excite, first):
        count = inputs * inner + 27 * inner + inner * outputs + 4 * inner + 2 * outputs
        count += 2 * inner * excite + inner + excite if excite else 0
        count += inputs * outputs if first else 0
        return count + (2 * outputs if inputs != outputs else 0)

    total, inputs = 24 * (3 * 9 + 5 + 2), 24
    for depth, width, excite in ((3, 24, 8), (5, 48, 8), (11, 96, 16), (7, 192, 32)):
        for at in range(depth):
            inner, hidden = width * 9 // 4, 0 if at % 2 else excite
            total += block(inputs, width, inner, hidden, at == 0)
            inputs = width
    total += 192 * 432 + 2 * 432 + 432 * 2048 + 2048 * 400 + 400
    model = full_size("x3d_s", patterns=400)
    params = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert sum(math.prod(param.shape) for param in params) == total == 3_794_274
