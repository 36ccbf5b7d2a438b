import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.explain import small
from ultrasound_jax.explain.see import rollout


def test_two_blocks_as_worked_by_hand():
    first = np.array([[0.5, 0.5], [0.0, 1.0]])
    second = np.array([[0.2, 0.8], [1.0, 0.0]])
    # Halves of skipped path: [[.75, .25], [0, 1]] and [[.6, .4], [.5, .5]].
    wanted = [[0.6 * 0.75, 0.6 * 0.25 + 0.4], [0.5 * 0.75, 0.5 * 0.25 + 0.5]]
    np.testing.assert_allclose(rollout.rollout([first, second]), wanted)


def test_the_class_tokens_row_is_the_whole_rollouts_where_patches_keep_to_themselves():
    rng = np.random.default_rng(0)
    blocks, rows = [], []
    for _ in range(3):
        row = rng.dirichlet(np.ones(1 + 2 * 2 * 3))
        whole = np.eye(13)
        whole[0] = row
        blocks.append(whole)
        rows.append(row[1:].reshape(2, 2, 3))
    wanted = rollout.rollout(blocks)[0, 1:].reshape(2, 2, 3)
    np.testing.assert_allclose(rollout.class_token_rollout(rows), wanted)


def test_coarser_keys_are_spread_without_loss():
    fine, coarse = np.full((1, 4, 4), 0.5 / 16), np.full((1, 2, 2), 0.5 / 4)
    flow = rollout.class_token_rollout([coarse, fine])
    assert flow.shape == (1, 4, 4)
    # Half of the second block's half is skipped path and the class token's own weight.
    assert flow.sum() == pytest.approx(0.75 * 0.25 + 0.25)


def test_shares_of_a_vivit_cover_the_real_frames_and_add_to_one():
    model = nnx.split(small.vivit())
    clip = np.random.default_rng(0).random((1, 4, small.SIZE, small.SIZE, 1))

    @jax.jit
    def apply(graphdef, state, clip, lengths):
        return nnx.merge(graphdef, state)(clip, lengths)

    outputs = apply(*model, jnp.asarray(clip, "float32"), jnp.asarray([3]))
    shares = rollout.patch_shares(outputs, 0, 3, (small.SIZE, small.SIZE))
    assert shares.shape == (3, 4, 4)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    weights = rollout.frame_weights(shares, 4)
    assert weights.shared
    assert weights.heads.shape == (4, 1, 3)
    assert weights.heads.mean() == pytest.approx(1)


def test_a_networks_steps_of_two_frames_become_frames():
    outputs = {"class_attention": (np.full((1, 2, 2, 2), 0.1),)}
    shares = rollout.patch_shares(outputs, 0, 3, (16, 16))
    assert shares.shape == (3, 2, 2)
    assert shares.sum() == pytest.approx(1)


def test_a_network_without_patches_has_no_shares():
    assert rollout.patch_shares({"logits": np.zeros((1, 4))}, 0, 3, (16, 16)) is None
