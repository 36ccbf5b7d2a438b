"""ViViT and the MViTs, run small: what clip networks must do, and what PyTorch does.

What one of them does alone is in test_vivit.py and test_mvit.py.
"""

import hashlib
import math
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.reference_weights import random_clip, random_tensor
from tests.models.test_torch_reference import assert_summaries_agree, summary
from tests.models.tiny_networks import assert_trees_agree, lengths_of
from tests.models.tiny_transformers import (
    FRAMES,
    HEIGHT,
    NAMES,
    PATTERNS,
    REFERENCE,
    WIDTH,
    build,
    clip_of,
    tiny,
)
from ultrasound_jax import models
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts.first_keys import first_keys

# Float32 sums in another order (jit, batch size, remat); a wrong term is 1e-2 and more.
CLOSE = 2e-5

QUICK_CASES = (
    "vivit_small",
    "mvit_v1_b_small",
    "mvit_v2_s_uneven",
    "mvit_v2_s_sevenths",
)
LENGTHS = lengths_of(6, 3, 1)
every_network = pytest.mark.parametrize("name", NAMES)


def published(name, clip_shape):
    """The network of the paper's size without values.

    One key serves all draws: to count hundreds of them while tracing takes half a
    minute, because Flax asks each count for its sharding, and JAX looks far for it.
    """
    with patch.object(nnx.RngStream, "__call__", lambda _: jax.random.key(0)):
        return nnx.eval_shape(
            lambda: models.build(name, clip_shape=clip_shape, rngs=first_keys(0))
        )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("vivit", 5_184_580), ("mvit_v1_b", 36_398_980), ("mvit_v2_s", 34_270_468)],
)
def test_parameters_are_as_many_as_the_originals(name, parameters):
    params = jax.tree.leaves(nnx.state(published(name, (30, 256, 256)), nnx.Param))
    assert sum(math.prod(param.shape) for param in params) == parameters
    assert all(param.dtype == jnp.float32 for param in params)


# Digests of the names and shapes of the originals' own state dicts, for small clips.
@pytest.mark.parametrize(
    ("name", "frames", "digest"),
    [
        ("vivit", 8, "e0664e7eee8f1a4b"),
        ("mvit_v1_b", 16, "724d133e4e687daf"),
        ("mvit_v2_s", 16, "434e64f70d749ff4"),
    ],
)
def test_names_and_shapes_are_the_originals(name, frames, digest):
    slots = torch_weights.expected(published(name, (frames, 64, 64)))
    lines = sorted(f"{key} {list(slot.shape)}" for key, slot in slots.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    "case",
    [
        name if name in QUICK_CASES else pytest.param(name, marks=pytest.mark.slow)
        for name in REFERENCE["cases"]
    ],
)
def test_evaluation_reproduces_pytorch(case):
    case = REFERENCE["cases"][case]
    name, clip_shape = case["network"], case["clip_shape"]
    sizes = case["block_sizes"] or getattr(models.find(name), "block_sizes", None)
    model = nnx.eval_shape(
        lambda: build(name, sizes, clip_shape=clip_shape, **case["options"])
    )
    state = {
        key: random_tensor(key, slot.shape, REFERENCE["seed"])
        for key, slot in torch_weights.expected(model).items()
    }
    torch_weights.load(model, state)
    view = nnx.view(model, deterministic=True, raise_if_not_found=False)
    graphdef, values = nnx.split(view)
    clip = jnp.asarray(random_clip((2, *clip_shape, 3), REFERENCE["seed"]))

    def apply(values, clip):
        return nnx.merge(graphdef, values)(clip)

    out = jax.jit(apply)(values, clip)
    np.testing.assert_allclose(out["logits"], case["logits"], atol=2e-5)
    for key, theirs in case["outputs"].items():
        whole, _, block = key.partition(".")
        array = out[whole][int(block)] if block else out[whole]
        assert_summaries_agree(summary(array), theirs, array.size)


@every_network
def test_only_parameters_are_state(name):
    state = nnx.state(tiny(name).model)
    assert {type(variable) for _, variable in nnx.to_flat_state(state)} == {nnx.Param}


def without_key_bias(gradients):
    """A bias of all keys moves a query's logits alike: its gradient is rounding."""
    return {
        jax.tree_util.keystr(path): gradient
        for path, gradient in jax.tree.leaves_with_path(gradients)
        if "['pool_k']['norm']['bias']" not in jax.tree_util.keystr(path)
    }


@every_network
def test_every_parameter_that_the_class_token_meets_gets_a_gradient(name):
    _, gradients, _ = tiny(name).train(clip_of(), LENGTHS)
    unused = "no parameter"
    if name == "mvit_v2_s":
        # Nobody looks at the other tokens of the last block, and these serve only them.
        last = len(tiny(name).model.blocks) - 1
        attention = f"['blocks'][{last}]['attention']"
        parts = ("['pool_q']['conv']", "['rows']", "['columns']", "['times']")
        unused = tuple(attention + part for part in parts)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    for path, gradient in without_key_bias(gradients).items():
        assert (np.abs(gradient).max() > 0) != path.startswith(unused), path


@every_network
def test_evaluation_is_deterministic(name):
    out = tiny(name).evaluate(clip_of(), LENGTHS)
    assert_trees_agree(tiny(name).evaluate(clip_of(), LENGTHS), out, 0)
    assert out["logits"].shape == (3, PATTERNS)
    assert {leaf.dtype for leaf in jax.tree.leaves(out)} == {jnp.dtype("float32")}


def test_jit_equals_eager():
    eager = tiny("vivit").evaluate(clip_of(), LENGTHS, compiled=False)
    assert_trees_agree(tiny("vivit").evaluate(clip_of(), LENGTHS), eager, CLOSE)


@every_network
def test_clips_of_a_batch_do_not_meet(name):
    out = tiny(name).evaluate(clip_of(), LENGTHS)
    others = clip_of(seed=1).at[1].set(clip_of()[1])
    other_out = tiny(name).evaluate(others, lengths_of(4, 3, 6))
    row, other_row = (jax.tree.map(lambda a: a[1], o) for o in (out, other_out))
    assert_trees_agree(other_row, row, CLOSE)
    assert np.abs(out["logits"][0] - other_out["logits"][0]).max() > 1e-2


@every_network
def test_the_order_of_frames_matters(name):
    forward = tiny(name).evaluate(clip_of(), lengths_of(6, 6, 6))["logits"]
    backward = tiny(name).evaluate(clip_of()[:, ::-1], lengths_of(6, 6, 6))["logits"]
    assert np.abs(forward - backward).max() > 1e-2 * np.abs(forward).max()


@every_network
def test_a_padded_clip_equals_itself_without_padding(name):
    short = tiny(name).evaluate(clip_of()[:, :3])
    garbage = clip_of().at[:, 3:].set(jnp.nan)
    padded = tiny(name).evaluate(garbage, lengths_of(3, 3, 3))
    assert_trees_agree(padded["logits"], short["logits"], CLOSE)
    for leaf in jax.tree.leaves(padded):
        assert np.isfinite(leaf).all()


@every_network
def test_padding_reaches_no_gradient(name):
    lengths = lengths_of(3, 2, 0)
    beyond = jnp.arange(FRAMES) >= lengths[:, None]
    garbage = jnp.where(beyond[:, :, None, None, None], jnp.nan, clip_of())
    out, gradients, _ = tiny(name).train(garbage, lengths)
    clean, clean_gradients, _ = tiny(name).train(clip_of(), lengths)
    assert_trees_agree(out, clean, 0)
    assert_trees_agree(gradients, clean_gradients, 0)


@every_network
def test_a_batch_of_filling_rows_is_finite_and_moves_nothing(name):
    out, gradients, _ = tiny(name).train(clip_of(), lengths_of(0, 0, 0))
    for value in jax.tree.leaves((out, gradients)):
        assert np.isfinite(value).all()
    assert not any(np.abs(g).max() for g in jax.tree.leaves(gradients))


@every_network
def test_a_grey_clip_equals_the_colours_that_it_stands_for(name):
    scale, offset = (0.5, 1.0, 2.0), (0.3, -0.2, 0.1)
    grey = clip_of(channels=1)
    colour = grey * jnp.asarray(scale) + jnp.asarray(offset)
    out = tiny(name, grey_scale=scale, grey_offset=offset).evaluate(grey, LENGTHS)
    assert_trees_agree(tiny(name).evaluate(colour, LENGTHS), out, CLOSE)


def test_rematerialising_changes_neither_values_nor_gradients():
    plain = tiny("vivit").train(clip_of(), LENGTHS)
    remat = tiny("vivit", remat=True).train(clip_of(), LENGTHS)
    assert_trees_agree(remat, plain, 1e-4)


@pytest.mark.parametrize("name", ["vivit", "mvit_v2_s"])
def test_bfloat16_is_near_float32(name):
    exact = tiny(name).evaluate(clip_of(), LENGTHS)["logits"]
    logits = tiny(name, dtype="bfloat16").evaluate(clip_of(), LENGTHS)["logits"]
    # bfloat16 has 8 bits: 0.4 % a rounding, some tens of roundings deep.
    np.testing.assert_allclose(logits, exact, atol=0.1 * np.abs(exact).max())
    assert logits.dtype == jnp.float32


def test_bfloat16_keeps_gradients_in_float32():
    _, gradients, _ = tiny("vivit", dtype="bfloat16").train(clip_of(), LENGTHS)
    for value in jax.tree.leaves(gradients):
        assert value.dtype == jnp.float32
        assert np.isfinite(value).all()


@every_network
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 7, 16, 24, 3), "7 frames.*up to 6"),
        ((1, 6, 16, 16, 3), "16x16.*16x24"),
        ((1, 6, 16, 24, 2), "2 channels.*3 and, as grey, 1"),
    ],
)
def test_a_clip_that_does_not_fit_is_refused(name, shape, words):
    with pytest.raises(models.ModelError, match=words) as error:
        tiny(name).evaluate(jnp.zeros(shape), compiled=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("vivit", {"clip_shape": (6, 20, 24)}, "clip_shape=.*multiples of patch=8"),
        ("vivit", {"heads": 0}, "heads=0"),
        ("vivit", {"channels": 0}, "channels=0"),
        ("vivit", {"dtype": "float16"}, "float16.*float32, bfloat16"),
        ("vivit", {"grey_scale": (1.0,)}, "grey_scale"),
        ("mvit_v1_b", {"clip_shape": (6, 16)}, "clip_shape=.*frames, height, width"),
        ("mvit_v1_b", {"clip_shape": (0, 16, 16)}, "clip_shape="),
        ("mvit_v1_b", {"dropout": 1.0}, "dropout=1.0"),
        ("mvit_v2_s", {"drop_path": -0.1}, "drop_path=-0.1"),
        ("mvit_v2_s", {"width": 0}, "width=0"),
        ("mvit_v2_s", {"patterns": 0}, "patterns=0"),
        ("mvit_v2_s", {"encoder": "resnet18"}, "'encoder'.*clip_shape"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(name, options, words):
    patch = {"patch": 8} if name == "vivit" else {}
    options = {"clip_shape": (FRAMES, HEIGHT, WIDTH), **patch, **options}
    with pytest.raises(models.ModelError, match=words) as error:
        nnx.eval_shape(lambda: models.build(name, **options, rngs=first_keys(0)))
    assert "\n" not in str(error.value)
