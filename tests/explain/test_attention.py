from functools import partial

import numpy as np

from tests.explain import small
from ultrasound_jax.explain.see import frame_weights
from ultrasound_jax.explain.see.footage import stitch


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


weigh = partial(frame_weights.frame_weights, scores=sigmoid)


def test_attention_is_relative_to_uniform_and_without_padding():
    weights = np.zeros((1, 2, 3, 5))
    weights[..., :4] = 0.25
    weights[0, 1, 2, :4] = (0.7, 0.1, 0.1, 0.1)
    found = weigh({"attention": weights}, 0, 4, 2)
    assert found.kind == frame_weights.ATTENTION
    assert found.heads.shape == (2, 3, 4)
    np.testing.assert_allclose(found.heads[0], 1)
    np.testing.assert_allclose(found.heads[1, 2], (2.8, 0.4, 0.4, 0.4))
    np.testing.assert_allclose(found.mean[1], (1.6, 0.8, 0.8, 0.8))


def test_one_attention_for_all_patterns_is_said_to_be_shared():
    weights = np.full((2, 3, 4), 0.25)
    found = weigh({"attention": weights}, 1, 4, 5, shared=True)
    assert found.shared
    assert found.heads.shape == (5, 3, 4)


def test_a_network_that_votes_shows_each_frames_score():
    logits = np.array([[[0.0, 2.0], [-2.0, 0.0], [9.0, 9.0]]])
    found = weigh({"frame_logits": logits}, 0, 2, 2)
    assert found.kind == frame_weights.SCORES
    np.testing.assert_allclose(found.heads[:, 0], [[0.5, 0.1192], [0.8808, 0.5]], 1e-3)


def test_a_network_that_weighs_no_frames_has_no_curves():
    assert weigh({"logits": np.zeros((1, 4))}, 0, 4, 4) is None


def test_top_frames_are_the_largest_first_and_never_unknown():
    values = np.array([1.0, np.nan, 3.0, 1.0, 2.0])
    assert frame_weights.top_frames(values, 3).tolist() == [2, 4, 0]
    assert frame_weights.top_frames(values, 9).tolist() == [2, 4, 0, 3]


def test_clips_are_put_on_the_videos_axis_and_overlaps_averaged():
    joined = stitch([np.array([1.0, 2, 3]), np.array([5.0, 7])], [0, 2], 5)
    np.testing.assert_allclose(joined, [1, 2, 4, 7, np.nan])


def test_a_videos_length_is_to_the_end_of_its_last_frame():
    assert small.footage().length == 9
