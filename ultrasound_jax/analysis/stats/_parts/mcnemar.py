"""Are two models right equally often? McNemar's test, for clips and for patients.

Where decisions of two models differ, one is right and the other wrong. McNemar's test
asks whether the two kinds of disagreement are equally frequent; in its exact and mid-p
form (Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91, 2013) it
takes every clip for independent.

The patient-level test is a randomisation test: if the models are exchangeable, then in
each patient the surplus of one over the other (clips that only the first judges
rightly, minus clips that only the second does) could as well have had the opposite
sign, all clips of the patient together. Surpluses are whole numbers, so that the
distribution of their sum over all 2^patients sign patterns is found exactly, without
drawing. We prefer it to the chi-square tests for clustered pairs (Obuchowski,
Statistics in Medicine 17, 1998; Durkalski et al., Statistics in Medicine 22, 2003),
which rest on many patients. With one clip a patient it is the exact test. Of few
patients it cannot be significant: the smallest p of `d` patients in whom the models
differ is 2^(1-d), 0.016 for seven.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from scipy import stats


@dataclass(frozen=True)
class McNemar:
    """Disagreements and how likely so uneven ones are by chance, two-sided.

    only_first, only_second: examples that only this model judges rightly.
    p_exact, p_mid: examples taken for independent. p_patients: respecting patients.
    patients: in how many of them the two kinds are not equally frequent.
    """

    only_first: int
    only_second: int
    p_exact: float
    p_mid: float
    p_patients: float
    patients: int


def mcnemar(
    first: Bool[np.ndarray, " n"],
    second: Bool[np.ndarray, " n"],
    patient: Int[np.ndarray, " n"],
) -> McNemar:
    """Compares where two models are right (True) on the same examples."""
    only_first, only_second = first & ~second, second & ~first
    b, c = int(only_first.sum()), int(only_second.sum())
    exact = min(1.0, 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5)))
    # Half of the probability of the table itself, which counts once if b equals c.
    mid = exact - float(stats.binom.pmf(b, b + c, 0.5))
    if b == c:
        mid = 1 - float(stats.binom.pmf(b, b + c, 0.5)) / 2 if b else 1.0
    surplus = np.bincount(
        patient, weights=only_first.astype(float) - only_second, minlength=1
    ).astype(int)
    return McNemar(
        b, c, exact, mid, sign_flip_p(surplus), int(np.count_nonzero(surplus))
    )


def sign_flip_p(surplus: Int[np.ndarray, " p"]) -> float:
    """P(|±s₁ ± s₂ …| ≥ |s₁ + s₂ + …|) over all sign patterns, exactly."""
    sizes = np.abs(surplus[surplus != 0])
    total = int(sizes.sum())
    # chance[v + total] of a sum v; each patient moves it up or down by its size.
    chance = np.zeros(2 * total + 1)
    chance[total] = 1.0
    for size in sizes.tolist():
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    reached = np.abs(np.arange(-total, total + 1)) >= abs(int(surplus.sum()))
    return min(1.0, float(chance[reached].sum()))
