import numpy as np
import pytest

from ultrasound_jax.radiomics import RadiomicsError
from ultrasound_jax.radiomics.learn.selection import select

RNG = np.random.default_rng(0)
TRUTH = np.arange(80) % 2
SIGNAL = TRUTH + RNG.normal(0, 0.7, 80)
NOISE = RNG.normal(size=(80, 30))


def features(*columns):
    return np.stack(columns, axis=1)


def test_a_feature_of_use_is_kept_and_noise_mostly_is_not():
    found = select(np.column_stack([NOISE, 100 * SIGNAL + 7]), TRUTH)
    assert 30 in found.kept
    assert 1 <= len(found.kept) < 31


def test_of_two_alike_the_later_is_dropped():
    found = select(features(SIGNAL, -3 * SIGNAL + 1, NOISE[:, 0]), TRUTH)
    assert 0 in found.kept and 1 not in found.kept
    assert found.counts["not correlated"] == 2


def test_a_feature_is_dropped_for_one_that_is_dropped_itself():
    # 0 and 1 are alike, and 1 and 2, but 0 and 2 are not: as in the original, 2 goes.
    one, other = RNG.normal(size=(2, 4000))
    columns = features(one, one + 0.4 * other, one + 0.8 * other)
    r = np.corrcoef(columns.T)
    assert r[0, 1] > 0.9 and r[1, 2] > 0.9 > r[0, 2]
    found = select(columns, (one > 0).astype(int))
    assert found.counts["not correlated"] == 1


def test_the_original_s_threshold_selects_everything_once_half_the_weights_are_0():
    values = np.column_stack([NOISE[:, :9] * 1e-3, SIGNAL, 5 * TRUTH - SIGNAL])
    ours = select(values, TRUTH, "lasso")
    theirs = select(values, TRUTH, "lasso_original")
    assert theirs.counts["selected"] == theirs.counts["not correlated"]
    assert ours.counts["selected"] < theirs.counts["selected"]
    assert set(ours.kept) < set(theirs.kept)


def test_without_a_selection_all_that_varies_is_kept():
    found = select(np.column_stack([NOISE, np.ones(80)]), TRUTH, "none")
    assert found.kept.tolist() == list(range(30))


def test_training_examples_are_standardised_and_others_by_them():
    values = features(SIGNAL * 40 + 3, NOISE[:, 0])
    found = select(values, TRUTH, "none")
    np.testing.assert_allclose(found(values).mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found(values).std(axis=0), 1)
    other = values[:1] + 1
    np.testing.assert_allclose(found(other), (other - found.mean) / found.scale)


def test_constants_are_dropped_also_where_rounding_moves_them():
    shaky = 0.1 + np.array([0.0, 1e-17] * 40)
    found = select(features(SIGNAL, np.full(80, 7.0), shaky * 3), TRUTH, "none")
    assert found.kept.tolist() == [0]


def test_what_is_not_defined_becomes_the_mean():
    holed = SIGNAL.copy()
    holed[5] = np.nan
    values = features(holed, NOISE[:, 0], np.full(80, np.nan))
    found = select(values, TRUTH, "none")
    assert found.kept.tolist() == [0, 1]
    assert found(values)[5, 0] == 0
    assert select(values, TRUTH).counts["not constant"] == 2


def test_of_several_classes_what_tells_any_of_them_is_kept():
    truth = np.arange(90) % 3
    values = RNG.normal(0, 0.5, (90, 12))
    values[:, 4] += truth == 1
    values[:, 7] += truth == 2
    assert {4, 7} <= set(select(values, truth).kept.tolist())


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(RadiomicsError, match="no feature differs"):
        select(np.ones((80, 3)), TRUTH)
    with pytest.raises(RadiomicsError, match="selection 'best'; there are lasso"):
        select(NOISE, TRUTH, "best")
