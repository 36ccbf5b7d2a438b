"""The search for a stratified split, against exhaustive search on small cases."""

import hashlib

import numpy as np
import pytest

from ultrasound_jax.data import stratify
from ultrasound_jax.data.stratify import Problem, improve, objective


def random_problem(rng, groups: int, parts: int, classes: int = 4) -> Problem:
    sizes = rng.integers(1, 40, (groups, 1)).astype(float)
    shown = rng.random((groups, classes)) < 0.8 * rng.random(classes)
    positives = np.floor(sizes * rng.random((groups, classes))) * shown
    positive = (positives > 0).astype(float)
    one = np.ones_like(sizes)
    shares = np.full(parts, 1 / parts)
    if parts > 2 and rng.random() < 0.5:
        shares = np.array([0.2, *[0.8 / (parts - 1)] * (parts - 1)])
    return Problem(
        amounts=np.concatenate([sizes, one, positives, positive], axis=1),
        presence=np.concatenate([positive, one], axis=1),
        shares=shares,
    )


def lowest_cost(problem: Problem) -> float:
    """Scores all assignments at once, with sums written differently from ours."""
    groups, parts = len(problem.amounts), len(problem.shares)
    digits = np.arange(parts**groups)[:, None] // parts ** np.arange(groups) % parts
    total = problem.amounts.sum(axis=0)
    used = total > 0
    cost = np.zeros(len(digits))
    for part, share in enumerate(problem.shares):
        inside = (digits == part).astype(float)
        ratio = (inside @ problem.amounts)[:, used] / (share * total[used])
        cost += share * ((ratio - 1) ** 2).mean(axis=1)
        cost += ((inside @ problem.presence) == 0).sum(axis=1) / problem.shares.min()
    return float(cost.min())


@pytest.mark.parametrize(("groups", "parts"), [(8, 3), (7, 4), (12, 2)])
def test_the_search_finds_the_best_of_all_assignments(groups, parts):
    rng = np.random.default_rng(groups)
    for seed in range(10):
        problem = random_problem(rng, groups, parts)
        found = objective(problem, stratify.stratify(problem, seed=seed))
        assert found == pytest.approx(lowest_cost(problem), abs=1e-6)


def test_gains_of_moves_and_swaps_are_the_changes_of_the_objective():
    rng = np.random.default_rng(0)
    for _ in range(20):
        problem = random_problem(rng, 10, 4)
        parts = rng.integers(0, 4, 10)
        before = objective(problem, parts)
        moves, swaps = [], []
        for group in range(10):
            for part in range(4):
                moved = parts.copy()
                moved[group] = part
                moves.append(before - objective(problem, moved))
            for other in range(10):
                swapped = parts.copy()
                swapped[[group, other]] = parts[[other, group]]
                swaps.append(before - objective(problem, swapped))
        terms = stratify._Terms(problem, parts)
        assert terms.best_move()[0] == pytest.approx(max(moves), abs=1e-9)
        assert terms.best_swap()[0] == pytest.approx(max(swaps), abs=1e-9)


def test_improving_never_raises_the_objective_and_ends_where_nothing_helps():
    rng = np.random.default_rng(1)
    for _ in range(10):
        problem = random_problem(rng, 30, 5)
        parts = rng.integers(0, 5, 30)
        better = improve(problem, parts)
        assert objective(problem, better) <= objective(problem, parts)
        assert (improve(problem, better) == better).all()


def test_a_perfect_assignment_costs_nothing():
    problem = Problem(
        amounts=np.ones((6, 2)), presence=np.ones((6, 1)), shares=np.full(3, 1 / 3)
    )
    assert objective(problem, np.array([0, 1, 2, 0, 1, 2])) == 0.0


def test_a_missing_property_costs_more_than_any_imbalance():
    problem = Problem(
        amounts=np.array([[1.0], [1.0], [98.0]]),
        presence=np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]),
        shares=np.array([0.5, 0.5]),
    )
    uneven_but_complete = objective(problem, np.array([0, 1, 1]))
    even_but_lacking = objective(problem, np.array([0, 0, 1]))
    assert uneven_but_complete < even_but_lacking


@pytest.mark.parametrize(
    ("groups", "digest"),
    [(60, "8562f5db0c6594a0"), (stratify.BLOCK, "e854f36cd42552d1")],
)
def test_splits_of_one_block_of_patients_are_those_that_manifests_hold(groups, digest):
    # As the search found them when it knew no blocks.
    problem = random_problem(np.random.default_rng(groups), groups, 6)
    parts = stratify.stratify(problem, seed=3).astype(np.uint8)
    assert hashlib.sha256(parts.tobytes()).hexdigest()[:16] == digest


def test_groups_looked_at_grow_with_the_groups_and_not_with_their_square(monkeypatch):
    looked_at = []

    class Counted(stratify._Terms):
        def __init__(self, problem, parts):
            looked_at.append(len(parts))
            super().__init__(problem, parts)

    monkeypatch.setattr(stratify, "_Terms", Counted)
    monkeypatch.setattr(stratify, "BLOCK", 200)

    def work(groups):
        looked_at.clear()
        problem = random_problem(np.random.default_rng(2), groups, 6)
        stratify.stratify(problem, seed=0, starts=1)
        return sum(looked_at)

    assert work(8 * 500) < 2 * 8 * work(500)  # all at once: about 64 times


@pytest.mark.parametrize("seed", [0, 3, 4])  # of those without a rare property
def test_improving_block_by_block_is_as_good_and_ends_where_nothing_helps(
    seed, monkeypatch
):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, 1500, 5)
    parts = rng.integers(0, 5, 1500)
    at_once = objective(problem, improve(problem, parts))
    monkeypatch.setattr(stratify, "BLOCK", 150)
    better = improve(problem, parts)
    assert objective(problem, better) < 1.2 * at_once
    assert (improve(problem, better) == better).all()
