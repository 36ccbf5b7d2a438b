"""What ViViT alone does: its attention, and what a shorter clip sees of positions."""

import numpy as np

from tests.models.tiny_networks import lengths_of
from tests.models.tiny_transformers import FRAMES, clip_of, tiny

TOKENS = 7  # a class token and 2 x 3 patches


def test_attention_is_shared_among_patches_and_among_real_frames():
    out = tiny("vivit").evaluate(clip_of(), lengths_of(6, 3, 0))
    assert [a.shape for a in out["space_attention"]] == [
        (3, FRAMES, TOKENS, TOKENS)
    ] * 2
    assert [a.shape for a in out["time_attention"]] == [(3, FRAMES + 1, FRAMES + 1)] * 2
    for space in out["space_attention"]:
        np.testing.assert_allclose(space[0].sum(-1), 1, atol=1e-6)
        np.testing.assert_allclose(space[1, :3].sum(-1), 1, atol=1e-6)
        assert (space[1, 3:] == 0).all()
    for time in out["time_attention"]:
        np.testing.assert_allclose(time.sum(-1), 1, atol=1e-6)
        assert (time[0] > 0).all()
        # The class token comes first and is always real.
        assert (time[1, :, :4] > 0).all()
        assert (time[1, :, 4:] == 0).all()
        np.testing.assert_allclose(time[2, :, 0], 1)


def test_features_are_those_of_single_frames():
    whole = tiny("vivit").evaluate(clip_of(), lengths_of(6, 3, 1))["features"]
    changed = clip_of().at[:, 1:].set(clip_of(seed=1)[:, 1:])
    other = tiny("vivit").evaluate(changed, lengths_of(6, 3, 1))["features"]
    assert whole.shape == (3, FRAMES, 16)
    np.testing.assert_allclose(other[:, 0], whole[:, 0], atol=1e-5)
    assert np.abs(other[0, 1] - whole[0, 1]).max() > 1e-2
    assert (whole[1, 3:] == 0).all()
