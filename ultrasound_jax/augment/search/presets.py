"""How a search is sized."""

from dataclasses import dataclass

from ultrasound_jax.augment import AugmentError


@dataclass(frozen=True)
class Preset:
    """The sizes of a search of one fold.

    inner: parts that the training patients are dealt into; each is held out once, and
        the network trained on the others judges candidates on it.
    rounds: searches by each such network.
    trials: candidates of a search.
    keep: the best of them, which go into the policy.
    sub_policies: of a candidate; an example gets one of them at random.
    startup: random candidates before the estimator proposes.
    proposals: that the estimator chooses each candidate from.
    """

    inner: int
    rounds: int
    trials: int
    keep: int
    sub_policies: int
    startup: int
    proposals: int

    @property
    def found(self) -> int:
        """The sub-policies that a search of one fold ends with."""
        return self.inner * self.rounds * self.keep * self.sub_policies


PRESETS = {
    # A skin-tumour system: 4 x 100 candidates and 20 sub-policies for each of 5 folds.
    "published": Preset(4, 1, 100, 5, 1, 20, 24),
    # Lim et al., NeurIPS 2019, section 4: K=5, T=2, B=200, N=10, N_T=5.
    "paper": Preset(5, 2, 200, 10, 5, 20, 24),
    # For two cores: as many sub-policies as half the published search has.
    "small": Preset(2, 1, 40, 5, 1, 20, 24),
}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        AugmentError: there is none.
    """
    if name not in PRESETS:
        raise AugmentError(
            f"preset {name!r} is not allowed: there are {', '.join(PRESETS)}"
        )
    return PRESETS[name]
