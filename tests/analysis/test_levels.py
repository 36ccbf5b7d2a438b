"""From clips to videos."""

from dataclasses import replace

import numpy as np
import pytest

from tests.analysis.simulated import join, simulate
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.levels import at_level, levels_of, to_groups
from ultrasound_jax.analysis.table.predictions import Predictions
from ultrasound_jax.analysis.table.units import level_words, of_column, short_words
from ultrasound_jax.data.source import builder_class


def clips(videos: str, labels: list[float], scores: list[float]) -> Predictions:
    count = len(videos)
    return Predictions(
        example_id=tuple(f"e{i}" for i in range(count)),
        video_id=tuple(videos),
        patient_id=("p",) * count,
        fold=np.zeros(count, int),
        split=("test",) * count,
        classes=("a_line",),
        labels=np.array(labels, float)[:, None],
        scores=np.array(scores)[:, None],
    )


def test_scores_are_joined_by_mean_or_by_maximum():
    table = clips("vvw", [0, 1, 0], [0.2, 0.6, 0.3])
    assert to_groups(table, "mean").scores[:, 0].tolist() == [0.4, 0.3]
    assert to_groups(table, "max").scores[:, 0].tolist() == [0.6, 0.3]
    assert to_groups(table, "mean").example_id == ("v", "w")
    assert at_level(table, "clip") is table


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0.0, 1.0], 1.0),
        ([0.0, 0.0], 0.0),
        ([np.nan, 1.0], 1.0),
        ([np.nan, 0.0], np.nan),
        ([np.nan, np.nan], np.nan),
    ],
)
def test_a_video_shows_what_any_clip_shows_and_is_unknown_where_one_might(
    labels, expected
):
    table = clips("vv", labels, [0.5, 0.5])
    np.testing.assert_array_equal(to_groups(table, "max").labels, [[expected]])


def test_videos_of_different_folds_and_splits_are_kept_apart():
    one = simulate(np.random.default_rng(0), 3)
    other_fold = replace(one, fold=one.fold + 1)
    other_split = replace(one, split=("validation",) * len(one))
    together = to_groups(join(one, other_fold, other_split), "mean")
    assert len(together) == 3 * len(to_groups(one, "mean"))


def test_the_order_of_clips_does_not_matter():
    table = simulate(np.random.default_rng(1), 6)
    shuffled = table.rows(np.random.default_rng(2).permutation(len(table)))
    for how in ("mean", "max"):
        a, b = to_groups(table, how), to_groups(shuffled, how)
        order = [b.example_id.index(name) for name in a.example_id]
        np.testing.assert_allclose(b.scores[order], a.scores, atol=1e-15)
        np.testing.assert_array_equal(b.labels[order], a.labels)
        assert tuple(b.patient_id[i] for i in order) == a.patient_id


def test_a_mean_of_ones_is_a_probability():
    score = float(np.nextafter(1.0, 0.0))
    table = clips("v" * 7, [1.0] * 7, [1.0] * 3 + [score] * 4)
    assert to_groups(table, "mean").scores[0, 0] <= 1.0


def test_impossible_requests_are_refused():
    table = clips("vv", [0, 1], [0.2, 0.6])
    with pytest.raises(AnalysisError, match="by 'mean' or 'max', not by 'median'"):
        to_groups(table, "median")
    with pytest.raises(AnalysisError, match="level 'patient' is not one of clip"):
        at_level(table, "patient")
    with pytest.raises(AnalysisError, match="'v' is of more than one patient"):
        to_groups(replace(table, patient_id=("p", "q")), "mean")


def test_a_further_column_is_kept_where_all_clips_of_a_video_agree():
    table = clips("vvww", [0, 1, 0, 0], [0.2, 0.6, 0.3, 0.4])
    table = replace(
        table, extra={"zone": ("L1", "L1", "L1", "R2"), "site": ("", "", "x", "x")}
    )
    for how in ("mean", "max"):
        assert to_groups(table, how).extra == {"zone": ("L1", ""), "site": ("", "x")}


def test_levels_are_called_by_the_units_of_the_table():
    table = simulate(np.random.default_rng(0), 4)
    patients = ("patient_mean", "patient_max")
    assert levels_of(table) == ("clip", "video_mean", "video_max", *patients)
    lesions = replace(table, units=("image", "lesion"))
    assert levels_of(lesions) == ("image", "lesion_mean", "lesion_max", *patients)
    joined = at_level(lesions, "lesion_mean")
    expected = at_level(table, "video_mean")
    np.testing.assert_array_equal(joined.scores, expected.scores)
    with pytest.raises(AnalysisError, match="'clip' is not one of image, lesion_mean"):
        at_level(lesions, "clip")


def test_where_every_example_is_its_own_group_and_patient_there_is_one_level():
    table = replace(
        clips("vwx", [0, 1, 0], [0.2, 0.6, 0.3]), patient_id=("p", "q", "r")
    )
    assert levels_of(replace(table, units=("image", "image"))) == ("image",)
    assert levels_of(replace(table, units=("image", "lesion"))) == ("image",)
    several = replace(clips("vvx", [0, 1, 0], [0.2, 0.6, 0.3]), patient_id=tuple("ppq"))
    assert len(levels_of(replace(several, units=("image", "lesion")))) == 3
    # `metrics.json` about clips has always all of them.
    assert len(levels_of(table)) == 5


def test_patients_are_a_level_where_one_has_several_groups_or_images():
    images = clips("vwx", [0, 1, 0], [0.2, 0.6, 0.3])
    for units in (("image", "image"), ("image", "lesion")):
        found = levels_of(replace(images, units=units))
        assert found == ("image", "patient_mean", "patient_max")


def test_a_patient_shows_what_any_clip_shows_and_frames_weigh():
    table = replace(
        clips("vvw", [0, np.nan, 1], [0.2, 0.8, 0.5]),
        frames=np.array([30, 10, 40]),
        video_id=("v", "v", "w"),
    )
    for how, score in (("mean", (0.2 * 30 + 0.8 * 10 + 0.5 * 40) / 80), ("max", 0.8)):
        patients = at_level(table, f"patient_{how}")
        assert patients.example_id == patients.video_id == ("p",)
        np.testing.assert_array_equal(patients.labels, [[1.0]])
        np.testing.assert_allclose(patients.scores[:, 0], [score])
    assert level_words("patient_max", table.units) == (
        "patients, maximum of their clips"
    )


def test_patients_of_different_folds_and_splits_are_kept_apart():
    one = simulate(np.random.default_rng(0), 3)
    together = join(one, replace(one, fold=one.fold + 1))
    assert len(at_level(together, "patient_mean")) == 6


def test_levels_are_said_in_words():
    assert level_words("clip", ("clip", "video")) == "clips"
    words = level_words("video_mean", ("clip", "video"))
    assert words == "videos, mean of their clips"
    words = level_words("study_max", ("biopsy", "study"))
    assert words == "studies, maximum of their biopsies"
    assert level_words("volume", ("slice", "volume")) == "volumes, all their slices"
    assert short_words("lesion_mean", ("image", "lesion")) == "lesion, mean"


def test_the_mean_of_a_video_weighs_its_clips_by_their_frames():
    table = replace(
        clips("vvw", [0, 1, 0], [0.2, 0.8, 0.3]), frames=np.array([30, 10, 7])
    )
    videos = to_groups(table, "mean")
    np.testing.assert_allclose(videos.scores[:, 0], [0.35, 0.3])
    assert videos.frames is not None and videos.frames.tolist() == [40, 7]
    assert to_groups(table, "max").scores[:, 0].tolist() == [0.8, 0.3]


def test_a_clip_of_one_frame_hardly_moves_its_video():
    """41 frames in clips of 10: as many as in the four before count as much as one."""
    frames = np.array([10, 10, 10, 10, 9, 1])
    table = replace(clips("v" * 6, [0] * 6, [0.1] * 5 + [0.9]), frames=frames)
    assert to_groups(table, "mean").scores[0, 0] == pytest.approx(0.1 + 0.8 / 50)


@pytest.mark.parametrize(
    "own", [("clip", "video"), ("image", "image"), ("image", "lesion")]
)
def test_units_are_read_back_from_their_column(own):
    assert of_column(f"{own[1]}_id") == own


@pytest.mark.parametrize("name", ["lungsegdb", "phantom_ct", "busi", "regions"])
def test_the_units_of_every_builder_of_images_are_known_by_their_column(name):
    own = builder_class(name).UNITS
    assert of_column(f"{own[1]}_id") == own
