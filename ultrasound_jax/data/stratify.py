"""Shares groups out so that each part gets its share of every quantity.

Multi-label iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the
Stratification of Multi-Label Data", 2011) gives a start; unlike the paper we place
whole groups (patients with all their examples), and improve the result by moves of one
group and swaps of two until neither helps, from several seeded starts.

One move looks at all groups, and as many moves are needed as there are groups, more or
less. So thousands of groups are improved a block at a time, the others staying where
they are, until no block can be improved: the time grows with the groups, not with
their square. Up to `BLOCK` groups are one block.
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

# Below this a gain is not worth its time: an imbalance of 1e-7 means parts that are off
# by 0.03 %. It is also far above rounding errors.
_SMALLEST_GAIN = 1e-7
# Groups of a part that are tried in swaps, so that thousands of groups stay fast.
_TRIED = 150
BLOCK = 3000  # groups that are improved at once


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be shared out.

    amounts: of each group `g`, the quantities `c` that every part wants its share of;
      the first one is the group's size.
    presence: 0 or 1 for each group and property `d` that every part must have at least
      once; one column is all ones, so that no part stays empty.
    shares: wanted fraction of each part, summing to 1.
    placed: the amounts and the presences of further groups, summed over each part,
      that stay where they are.
    """

    amounts: Float[np.ndarray, "g c"]
    presence: Float[np.ndarray, "g d"]
    shares: Float[np.ndarray, " p"]
    placed: tuple[Float[np.ndarray, "p c"], Float[np.ndarray, "p d"]] | None = None

    @cached_property
    def totals(self) -> Float[np.ndarray, " c"]:
        """The amounts of all groups together."""
        inside = self.amounts.sum(axis=0)
        return inside if self.placed is None else inside + self.placed[0].sum(axis=0)

    def held(
        self, parts: Int[np.ndarray, " g"]
    ) -> tuple[Float[np.ndarray, "p c"], Float[np.ndarray, "p d"]]:
        """The amounts in each part, and how many of its groups have each property."""
        member = (parts[None] == np.arange(len(self.shares))[:, None]).astype(float)
        amounts, presence = member @ self.amounts, member @ self.presence
        if self.placed is None:
            return amounts, presence
        return amounts + self.placed[0], presence + self.placed[1]

    def weights(self) -> Float[np.ndarray, "p c"]:
        """The factors of squared deviations in the objective."""
        totals = self.totals
        used = totals > 0
        inverse = np.divide(1.0, totals**2, out=np.zeros_like(totals), where=used)
        return inverse[None] / self.shares[:, None] / max(used.sum(), 1)

    def penalty(self) -> float:
        """The price of one missing property in one part.

        The imbalance is below `1 / min(shares)` for any assignment, so no balance is
        worth a property that a part could have had.
        """
        return float(1.0 / self.shares.min())


def objective(problem: Problem, parts: Int[np.ndarray, " g"]) -> float:
    """Scores an assignment of groups to parts; lower is better, 0 is perfect.

    `penalty · missing + mean over c of Σ_p (n_pc − s_p T_c)² / (s_p T_c²)`: `missing`
    counts the properties absent from a part, `n` the amounts in the parts, `T` their
    totals and `s` the shares. The second term is the squared coefficient of variation
    of the parts' relative amounts.
    """
    amounts, presence = problem.held(parts)
    deviation = amounts - np.outer(problem.shares, problem.totals)
    missing = (presence == 0).sum()
    imbalance = (problem.weights() * deviation**2).sum()
    return float(problem.penalty() * missing + imbalance)


def stratify(
    problem: Problem, *, seed: int, starts: int | None = None
) -> Int[np.ndarray, " g"]:
    """The part of each group; the same for the same seed.

    The best of `starts` local optima; by default as many as about a second allows.
    """
    if starts is None:
        starts = int(np.clip(2000 // len(problem.amounts), 3, 100))
    found = [_local_optimum(problem, seed, start) for start in range(starts)]
    costs = np.array([objective(problem, parts) for parts in found])
    return found[_first_lowest(costs[None])]


def _local_optimum(problem: Problem, seed: int, start: int) -> Int[np.ndarray, " g"]:
    rng = np.random.default_rng([seed, start])
    if start % 2 == 0:
        parts = _place_in_turn(problem, rng, largest_first=start == 0)
    else:  # placing few groups in turn ends in the same few optima each time
        parts = rng.integers(0, len(problem.shares), len(problem.amounts))
    return improve(problem, parts)


def _place_in_turn(
    problem: Problem, rng: np.random.Generator, *, largest_first: bool
) -> Int[np.ndarray, " g"]:
    """Places the groups with the rarest property first, where it is missed most."""
    presence, sizes = problem.presence, problem.amounts[:, 0]
    wanted = np.outer(problem.shares, presence.sum(axis=0))
    room = problem.shares * sizes.sum()
    parts = np.full(len(presence), -1)
    while (parts < 0).any():
        left = presence[parts < 0].sum(axis=0)
        rarest = int(np.argmin(np.where(left > 0, left, np.inf)))
        members = rng.permutation(
            np.flatnonzero((parts < 0) & (presence[:, rarest] > 0))
        )
        if largest_first:
            members = members[np.argsort(-sizes[members], kind="stable")]
        for group in members:
            ties = rng.random(len(room))
            # Rounded, so that equal wishes tie in spite of rounding errors.
            order = (ties, np.round(room, 6), np.round(wanted[:, rarest], 6))
            part = np.lexsort(order)[-1]
            parts[group] = part
            wanted[part] -= presence[group]
            room[part] -= sizes[group]
    return parts


def improve(problem: Problem, parts: Int[np.ndarray, " g"]) -> Int[np.ndarray, " g"]:
    """Applies the best move, or else the best swap, until neither lowers the cost.

    Of more than `BLOCK` groups those of a block are tried, and then those of the next,
    until no block can be improved.
    """
    parts, blocks = parts.copy(), -(-len(parts) // BLOCK)
    block, settled = 0, 0
    while settled < blocks:
        inside = slice(block, None, blocks)
        better = _improve_at_once(_without(problem, parts, inside), parts[inside])
        settled = settled + 1 if (better == parts[inside]).all() else 1
        parts[inside] = better
        block = (block + 1) % blocks
    return parts


def _without(problem: Problem, parts: Int[np.ndarray, " g"], inside: slice) -> Problem:
    """The problem of some groups alone, where all others are placed."""
    some = Problem(problem.amounts[inside], problem.presence[inside], problem.shares)
    (amounts, presence), here = problem.held(parts), some.held(parts[inside])
    return dataclasses.replace(some, placed=(amounts - here[0], presence - here[1]))


def _improve_at_once(
    problem: Problem, parts: Int[np.ndarray, " g"]
) -> Int[np.ndarray, " g"]:
    parts = parts.copy()
    while True:
        terms = _Terms(problem, parts)
        gain, group, part = terms.best_move()
        if gain > _SMALLEST_GAIN:
            parts[group] = part
            continue
        gain, group, other = terms.best_swap()
        if gain <= _SMALLEST_GAIN:
            return parts
        parts[group], parts[other] = parts[other], parts[group]


class _Terms:
    """The change of the objective by each move and swap, from a few matrix products.

    The objective is quadratic in the amounts, and within one exchange of at most one
    group each way the missing properties are bilinear, so the change of a swap is the
    sum of the four single changes and one product of the two groups.
    """

    def __init__(self, problem: Problem, parts: Int[np.ndarray, " g"]) -> None:
        self.problem, self.parts = problem, parts
        self.count = len(problem.shares)
        amounts, presence = problem.amounts, problem.presence
        held, here = problem.held(parts)
        self.weights, self.penalty = problem.weights(), problem.penalty()
        deviation = held - np.outer(problem.shares, problem.totals)
        slope = amounts @ (2 * self.weights * deviation).T
        curve = amounts**2 @ self.weights.T
        self.last = (here == 1).astype(float)
        self.enter = slope + curve - self.penalty * presence @ (here == 0).T
        self.leave = -slope + curve + self.penalty * presence @ self.last.T
        self.features = np.concatenate([amounts, presence], axis=1)

    def best_move(self) -> tuple[float, int, int]:
        """The best move of one group: its gain, the group, its new part."""
        groups = np.arange(len(self.parts))
        change = self.enter + self.leave[groups, self.parts][:, None]
        change[groups, self.parts] = 0.0
        place = _first_lowest(change)
        return -float(change.flat[place]), *divmod(place, self.count)

    def best_swap(self) -> tuple[float, int, int]:
        """The best swap of two groups: its gain and the groups."""
        best = (0.0, 0, 0)
        members = [np.flatnonzero(self.parts == p) for p in range(self.count)]
        members = [m[:: -(-len(m) // _TRIED) or 1] for m in members]
        for p in range(self.count):
            for q in range(p + 1, self.count):
                a, b = members[p], members[q]
                if not len(a) or not len(b):
                    continue
                both = np.concatenate(
                    [
                        -2 * (self.weights[p] + self.weights[q]),
                        -self.penalty * (self.last[p] + self.last[q]),
                    ]
                )
                change = (self.features[a] * both) @ self.features[b].T
                change += (self.leave[a, p] + self.enter[a, q])[:, None]
                change += (self.leave[b, q] + self.enter[b, p])[None]
                place = _first_lowest(change)
                gain = -float(change.flat[place])
                if gain > best[0] + _SMALLEST_GAIN / 100:
                    i, j = divmod(place, len(b))
                    best = (gain, int(a[i]), int(b[j]))
        return best


def _first_lowest(change: Float[np.ndarray, "r s"]) -> int:
    """The first place of the lowest value; rounding does not break ties."""
    return int(np.argmax(change <= change.min() + _SMALLEST_GAIN / 100))
