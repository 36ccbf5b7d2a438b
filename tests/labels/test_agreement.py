import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from ultrasound_jax.labels.disagreement import (
    Agreement,
    of_pairs,
    of_sets,
)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    first = rng.random(200) < 0.3
    second = np.where(rng.random(200) < 0.8, first, rng.random(200) < 0.5)
    table = of_pairs(zip(first.tolist(), second.tolist(), strict=True))
    assert table.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    assert table.observed == pytest.approx(np.mean(first == second))


def test_kappa_by_hand():
    # 25 agree on yes, 35 on no; chance: 0.5 * 0.45 + 0.5 * 0.55 = 0.5; (0.6-0.5)/0.5
    table = Agreement(both=25, first_only=25, second_only=20, neither=30)
    assert table.kappa == pytest.approx((0.55 - 0.5) / 0.5)


@pytest.mark.parametrize(
    "table", [Agreement(), Agreement(neither=7), Agreement(both=7)]
)
def test_kappa_is_not_defined_where_both_always_say_the_same(table):
    assert table.kappa is None


def test_opposite_judgements_have_the_kappa_of_disagreement():
    assert Agreement(first_only=5, second_only=5).kappa == -1


def test_frames_are_compared_over_the_whole_video():
    table = of_sets({1, 2, 3}, {3, 4}, 10)
    assert table == Agreement(both=1, first_only=2, second_only=1, neither=6)
    assert table + table == Agreement(2, 4, 2, 12)
