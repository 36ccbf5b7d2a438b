from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.explain import small
from ultrasound_jax import tasks
from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.explain.errors import ExplainError
from ultrasound_jax.explain.see.frame_weights import (
    ATTENTION,
    ROLLOUT,
    SCORES,
)
from ultrasound_jax.explain.see.views import (
    enlarge,
    make_look,
)


def look_with(model, **made):
    look = make_look(model, small.task())
    return look(small.footage(**made), "run")


@pytest.fixture(scope="module")
def luvnet():
    return small.framewise("luvnet", heads=4)


@pytest.fixture(scope="module")
def view(luvnet):
    return look_with(luvnet)


def test_a_clip_is_seen_as_the_network_sees_it(luvnet, view):
    clip = view.footage.clips[-1]
    alone = clip.frames[None, ..., None].astype(np.float32) / 255
    outputs = jax.jit(lambda clip: luvnet(clip))(alone)
    wanted = np.asarray(outputs["attention"])[0] * len(clip.frames)
    found = view.clips[-1]
    # The padding to the nominal length reaches nothing.
    np.testing.assert_allclose(found.weights.heads, wanted, rtol=1e-4)
    np.testing.assert_allclose(
        found.scores, 1 / (1 + np.exp(-np.asarray(outputs["logits"])[0])), rtol=1e-4
    )
    assert found.maps.shape[:2] == (4, 3)


def test_the_videos_curves_are_the_mean_where_clips_overlap(view):
    first, second = (clip.weights.heads for clip in view.clips[:2])
    whole = view.weights()
    assert whole.kind == ATTENTION
    np.testing.assert_allclose(whole.heads[..., :3], first[..., :3])
    both = (first[..., 3] + second[..., 0]) / 2
    np.testing.assert_allclose(whole.heads[..., 3], both)
    assert view.maps().shape == (4, 9, 4, 4)


def test_the_video_is_put_together_from_its_clips(view):
    frames = view.frames()
    for clip in view.footage.clips:
        np.testing.assert_array_equal(frames[clip.start : clip.stop], clip.frames)
    marks = view.marks()
    np.testing.assert_array_equal(marks[:, 3:7], view.footage.clips[1].marks.T)


def test_a_dataset_without_frame_labels_has_no_marks(luvnet):
    assert look_with(luvnet, marks=False, lengths=(4,)).marks() is None


def test_a_video_keeps_what_nobody_annotated_unknown(view):
    view.clips[0].clip.labels[:] = (-1, -1, 0, 1)
    view.clips[1].clip.labels[:] = (-1, 1, 0, 0)
    view.clips[2].clip.labels[:] = (-1, 0, -1, 0)
    np.testing.assert_array_equal(view.labels(), (np.nan, 1, 0, 1))


def test_frame_voting_shows_each_frames_score():
    found = look_with(small.framewise("frame_vote"), lengths=(4,))
    assert found.weights().kind == SCORES
    assert found.map_kind == "Grad-CAM"


def test_a_transformer_shows_its_rollout_the_same_for_all_patterns():
    found = look_with(small.vivit(), lengths=(3,))
    assert found.map_kind == found.weights().kind == ROLLOUT
    assert found.maps().shape == (1, 3, 4, 4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("luvnet_no_temporal", {"heads": 4}),
        ("frame_vote", {}),
        ("usvn", {"heads": 4}),
        ("usvn", {"pooling": "tanh_attention", "heads": 4}),
    ],
)
def test_equal_frames_have_equal_maps_however_long_their_clip_is(name, options):
    look = make_look(small.framewise(name, **options), small.task(frames=16))
    maps = look(small.still((16, 1, 5)), "run").maps()
    assert maps.shape[1] == 22 and maps.max() > 0
    close = {"rtol": 1e-3, "atol": 1e-4 * maps.max()}  # float32 gradients
    np.testing.assert_allclose(maps, np.broadcast_to(maps[:, :1], maps.shape), **close)


def test_equal_shares_have_equal_maps_however_long_their_clip_is():
    model = small.vivit(clip_shape=(16, small.SIZE, small.SIZE))
    # Without queries all tokens get the same attention.
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        if "qkv" in path:
            variable[...] = jnp.zeros_like(variable[...])
    look = make_look(model, small.task(frames=16))
    maps = look(small.still((16, 1, 5)), "run").maps()
    np.testing.assert_allclose(maps, 1 / 16, rtol=1e-5)  # 4 x 4 patches a frame


def test_where_the_highest_frame_speaks_it_shows_as_it_does_alone():
    model = small.framewise("frame_vote", pooling="max")
    look = make_look(model, small.task())
    view = look(small.footage(lengths=(4,)), "run")
    scores, maps = view.clips[0].weights.heads[:, 0], view.maps()
    for k, best in enumerate(scores.argmax(1)):
        clip = view.footage.clips[0]
        frames = clip.frames[best : best + 1]
        alone = replace(clip, start=0, frames=frames, marks=None)
        single = look(replace(view.footage, clips=(alone,)), "run").maps()
        close = {"rtol": 1e-3, "atol": 1e-4 * maps.max()}
        np.testing.assert_allclose(maps[k, best], single[k, 0], **close)
        assert not np.delete(maps[k], best, 0).any()


def test_maps_are_enlarged_around_their_centres():
    maps = np.zeros((1, 2, 2))
    maps[0, 0, 1] = 1.0
    shown = enlarge(maps, (8, 12))
    assert shown.shape == (1, 8, 12)
    assert shown[0, 0, -1] == 1.0
    assert shown[0, 3, 5] == pytest.approx((0.625 * 5 / 12), abs=0.01)


def test_a_softmax_task_is_shown_its_own_probabilities():
    model = small.framewise("frame_vote")
    clip = small.footage(lengths=(4,)).clips[0]
    found = make_look(model, small.task(name="multiclass"))(
        small.footage(lengths=(4,)), "run"
    )
    outputs = model(jnp.asarray(clip.frames[None, ..., None], jnp.float32) / 255)
    shares = jax.nn.softmax(outputs["logits"])[0]
    np.testing.assert_allclose(found.clips[0].scores, shares, rtol=1e-4)
    frames = jax.nn.softmax(outputs["frame_logits"][0]).T
    np.testing.assert_allclose(found.weights().heads[:, 0], frames, rtol=1e-4)


def test_levels_that_no_label_of_the_dataset_has_are_not_drawn(luvnet):
    """Curves are called by the dataset's labels, which are not what is told here."""
    grade = Field(shape=(), dtype="int8", role="number", classes=("0", "1", "2", "3"))
    spec = Spec({**small.task().spec, "grade": grade})
    task = tasks.build("ordinal", spec, options={})
    with pytest.raises(ExplainError, match="tells 0, 1, 2, 3 by 3 logits; curves"):
        make_look(luvnet, task)
