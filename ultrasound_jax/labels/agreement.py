"""How far two annotators agree: observed agreement and Cohen's kappa."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """A two-by-two table: how often both, one or neither says yes."""

    both: int = 0
    first_only: int = 0
    second_only: int = 0
    neither: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            self.both + other.both,
            self.first_only + other.first_only,
            self.second_only + other.second_only,
            self.neither + other.neither,
        )

    @property
    def total(self) -> int:
        """How many were judged."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def observed(self) -> float | None:
        """Share on which they agree; None if nothing was judged."""
        return (self.both + self.neither) / self.total if self.total else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond chance (Cohen 1960).

        None where it is not defined: nothing was judged, or both always say the same
        one thing, so that chance alone would make them agree.
        """
        if not self.total:
            return None
        first, second = self.both + self.first_only, self.both + self.second_only
        # In whole numbers, so that "chance explains everything" is met exactly.
        by_chance = first * second + (self.total - first) * (self.total - second)
        beyond = self.total**2 - by_chance
        if not beyond:
            return None
        return (self.total * (self.both + self.neither) - by_chance) / beyond


def of_sets(first: set[int], second: set[int], total: int) -> Agreement:
    """The table of two sets of frames of a video that has `total` of them."""
    both = len(first & second)
    return Agreement(
        both,
        len(first) - both,
        len(second) - both,
        total - len(first) - len(second) + both,
    )


def of_pairs(pairs: Iterable[tuple[bool, bool]]) -> Agreement:
    """The table of two judgements of each of several things."""
    found = Agreement()
    for first, second in pairs:
        found += Agreement(
            int(first and second),
            int(first and not second),
            int(second and not first),
            int(not (first or second)),
        )
    return found
