"""What the MViTs alone do: stochastic depth, class attention, positions, pools."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.tiny_networks import lengths_of
from tests.models.tiny_transformers import clip_of, tiny
from ultrasound_jax import models
from ultrasound_jax.models._parts.depthwise import (
    as_one_convolution,
    depthwise_conv,
)
from ultrasound_jax.models._parts.patches import PatchConv
from ultrasound_jax.models._parts.relative_positions import (
    key_features,
    query_features,
    resized,
)
from ultrasound_jax.models.mvit import MViTv1B, MViTv2S

CLOSE = 2e-5  # float32 sums in another order


@pytest.mark.parametrize("name", ["mvit_v1_b", "mvit_v2_s"])
def test_the_class_token_shares_its_attention_among_real_steps(name):
    attention = tiny(name).evaluate(clip_of(), lengths_of(6, 3, 0))["class_attention"]
    # Patches of 4 pixels, keys pooled by 4; 2 after queries by 2; 1 after that again.
    assert [a.shape for a in attention] == [
        (3, 3, 1, 2),
        (3, 3, 2, 3),
        (3, 3, 2, 3),
    ]
    for block in attention:
        shared = block.sum((1, 2, 3))
        assert (block[0] > 0).all()
        assert (shared[:2] > 0).all() and (shared[:2] < 1).all()
        # Frame 2 is the middle of step 1, of which frame 3 is only padding.
        assert (block[1, :2] > 0).all()
        assert (block[1, 2] == 0).all()
        assert (block[2] == 0).all()


def test_branches_are_left_out_ever_more_often_for_whole_clips():
    rates = [0.0, 0.1, 0.2]
    blocks = tiny("mvit_v2_s", drop_path=0.2).model.blocks
    assert [block.drop_path.rate for block in blocks] == pytest.approx(rates)
    view = nnx.view(blocks[2].drop_path, deterministic=False)
    kept = np.asarray(view(jnp.ones((500, 2, 3)), rngs=nnx.Rngs(dropout=0)))
    assert (kept == kept[:, :1, :1]).all()
    assert set(np.unique(kept).round(6)) == {0, 1.25}
    # Binomial with deviation 0.018.
    assert (kept[:, 0, 0] == 0).mean() == pytest.approx(0.2, abs=0.08)


def test_dropout_follows_the_key_of_the_call():
    model = tiny("mvit_v2_s", dropout=0.5, drop_path=0.5, remat=True).model
    graphdef, values = nnx.split(nnx.view(model, deterministic=False))

    @jax.jit
    def logits(key):
        network = nnx.merge(graphdef, values, copy=True)
        return network(clip_of()[:, :2], rngs=nnx.Rngs(dropout=key))["logits"]

    first, again, other = (logits(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_published_blocks_widen_eightfold_in_all():
    for kind in (MViTv1B, MViTv2S):
        sizes = kind.block_sizes
        assert len(sizes) == 16
        assert sizes[0].inputs == 1 and sizes[-1].outputs == 8
        for one, following in zip(sizes[:-1], sizes[1:], strict=True):
            assert one.outputs == following.inputs
        assert [i for i, s in enumerate(sizes) if s.query_stride == 2] == [1, 3, 14]


@pytest.mark.parametrize(("stride", "sides"), [(1, (4, 5)), (2, (5, 4)), (8, (9, 16))])
def test_the_depthwise_convolution_is_xlas(stride, sides):
    rng = np.random.default_rng(0)
    grid = jnp.asarray(rng.standard_normal((2, 3, *sides, 6)), "float32")
    kernel = jnp.asarray(rng.standard_normal((3, 3, 3, 6)), "float32")
    theirs = jax.lax.conv_general_dilated(
        grid,
        kernel[:, :, :, None],
        (1, stride, stride),
        ((1, 1),) * 3,
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        feature_group_count=6,
    )
    ours = depthwise_conv(grid, kernel, stride=stride)
    np.testing.assert_allclose(ours, theirs, atol=CLOSE)


@pytest.mark.parametrize(("window", "stride"), [((3, 3, 3), 2), ((5, 1, 1), 1)])
def test_heads_are_convolved_alike_with_kernels_of_any_odd_size(window, stride):
    rng = np.random.default_rng(0)
    grid = jnp.asarray(rng.standard_normal((2, 6, 5, 4, 3, 7)), "float32")
    kernel = jnp.asarray(rng.standard_normal((*window, 7)), "float32")
    ours = depthwise_conv(grid, kernel, stride=stride)
    theirs = as_one_convolution(grid, kernel, stride=stride)
    theirs = theirs.reshape(2, 3, *theirs.shape[1:])
    np.testing.assert_allclose(jnp.moveaxis(ours, -2, 1), theirs, atol=CLOSE)


@pytest.mark.parametrize("frames", [5, 6])
def test_the_patch_convolution_is_xlas(frames):
    conv = PatchConv(models.Given(nnx.Rngs(0)), 4)
    clip = clip_of()[:, :frames]
    theirs = jax.lax.conv_general_dilated(
        clip,
        conv.kernel[...],
        (2, 4, 4),
        ((1, 1), (3, 3), (3, 3)),
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
    )
    np.testing.assert_allclose(conv(clip), theirs + conv.bias[...], atol=CLOSE)


def test_relative_logits_are_those_of_the_paper_pair_by_pair():
    rng = np.random.default_rng(0)
    queries, keys, depth = (3, 4, 2), (3, 2, 4), 5
    tables = [rng.standard_normal((rows, depth)) for rows in (7, 7, 5)]
    query = rng.standard_normal((1, *queries, 1, depth))
    ours = (
        query_features(
            jnp.asarray(query, "float32"),
            tuple(jnp.asarray(table, "float32") for table in tables),
            keys,
            steps=3,
        ).reshape(np.prod(queries), -1)
        @ key_features(keys).T
    )
    for i, at in enumerate(np.ndindex(*queries)):
        for j, key_at in enumerate(np.ndindex(*keys)):
            vector = query[0, *at, 0]
            # Half as many keys as queries in height, twice as many in width.
            by_hand = vector @ tables[0][at[1] - 2 * key_at[1] + 2]
            by_hand += vector @ tables[1][2 * at[2] - key_at[2] + 3]
            by_hand += vector @ tables[2][at[0] - key_at[0] + 2]
            assert ours[i, j] == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("rows", [4, 5, 9, 14])
def test_tables_are_interpolated_between_the_middles_of_rows(rows):
    table = np.random.default_rng(0).standard_normal((7, 1))
    places = (np.arange(rows) + 0.5) * 7 / rows - 0.5
    by_numpy = np.interp(places, np.arange(7), table[:, 0])
    ours = resized(jnp.asarray(table, "float32"), rows)
    np.testing.assert_allclose(ours[:, 0], by_numpy, atol=1e-6)
