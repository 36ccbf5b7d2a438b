"""Grey level co-occurrence (Haralick 1973): which levels lie beside each other.

One symmetric matrix for each of the four directions at distance 1; a feature is the
mean over the directions in which pixels have neighbours (IBSI: `2D, averaged`), NaN
where there is no such direction.
"""

import numpy as np
from jaxtyping import Float

from ultrasound_jax.radiomics.region import DIRECTIONS, EPSILON, Region

Matrix = Float[np.ndarray, "g g"]


def glcm(region: Region) -> dict[str, float]:
    """The 24 features."""
    matrices = [p for step in DIRECTIONS if (p := _matrix(region, step)) is not None]
    if not matrices:
        return dict.fromkeys(NAMES, float("nan"))
    each = [_features(matrix, region.levels) for matrix in matrices]
    return {name: float(np.mean([one[name] for one in each])) for name in NAMES}


def _matrix(region: Region, step: tuple[int, int]) -> Matrix | None:
    """The share of each pair of levels in one direction, both ways; None if no pair."""
    other = region.neighbour(*step)
    there = other >= 0
    size = len(region.levels)
    pairs = region.level[there] * size + other[there]
    counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
    if not there.any():
        return None
    counts = (counts + counts.T).astype(np.float64)
    return counts / counts.sum()


def _features(p: Matrix, levels: Float[np.ndarray, " g"]) -> dict[str, float]:
    i, j = levels[:, None], levels[None, :]
    highest = levels[-1]  # pyradiomics' number of levels, also where some are missing
    px, py = p.sum(axis=1, keepdims=True), p.sum(axis=0, keepdims=True)
    mean_i, mean_j = (i * p).sum(), (j * p).sum()
    centred = i + j - mean_i - mean_j
    spread_i = np.sqrt((p * (i - mean_i) ** 2).sum())
    spread_j = np.sqrt((p * (j - mean_j) ** 2).sum())
    spread = spread_i * spread_j
    together = (p * (i - mean_i) * (j - mean_j)).sum()
    apart, by_apart = _grouped(p, np.abs(i - j))
    total, by_total = _grouped(p, i + j)
    apart_mean = (apart * by_apart).sum()
    differ = apart > 0
    return {
        "Autocorrelation": (p * i * j).sum(),
        "ClusterProminence": (p * centred**4).sum(),
        "ClusterShade": (p * centred**3).sum(),
        "ClusterTendency": (p * centred**2).sum(),
        "Contrast": (p * (i - j) ** 2).sum(),
        "Correlation": 1.0 if spread == 0 else together / (spread + EPSILON),
        "DifferenceAverage": apart_mean,
        "DifferenceEntropy": _entropy(by_apart),
        "DifferenceVariance": (by_apart * (apart - apart_mean) ** 2).sum(),
        "Id": (by_apart / (1 + apart)).sum(),
        "Idm": (by_apart / (1 + apart**2)).sum(),
        "Idmn": (by_apart / (1 + apart**2 / highest**2)).sum(),
        "Idn": (by_apart / (1 + apart / highest)).sum(),
        **_correlation_measures(p, px, py),
        "InverseVariance": (by_apart[differ] / apart[differ] ** 2).sum(),
        "JointAverage": mean_i,
        "JointEnergy": (p**2).sum(),
        "JointEntropy": _entropy(p),
        "MCC": _maximal_correlation(p, px, py),
        "MaximumProbability": p.max(),
        "SumAverage": (total * by_total).sum(),
        "SumEntropy": _entropy(by_total),
        "SumSquares": (p * (i - mean_i) ** 2).sum(),
    }


def _grouped(
    p: Matrix, key: Float[np.ndarray, "g g"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """The values of a key, and the share of pairs that have each."""
    values, place = np.unique(key.ravel(), return_inverse=True)
    return values, np.bincount(place.ravel(), p.ravel(), minlength=len(values))


def _entropy(share: np.ndarray) -> float:
    return float(-(share * np.log2(share + EPSILON)).sum())


def _correlation_measures(
    p: Matrix, px: np.ndarray, py: np.ndarray
) -> dict[str, float]:
    """Haralick's two informational measures of correlation.

    The second is a root; below zero, where only rounding leads, it is 0.
    """
    independent = px * py
    surprise = np.log2(independent + EPSILON)
    joint, crossed = _entropy(p), float(-(p * surprise).sum())
    alone = float(-(independent * surprise).sum())
    most = max(_entropy(px), _entropy(py))
    shared = 1 - np.exp(-2 * (alone - joint))
    return {
        "Imc1": (joint - crossed) / most if most else 0.0,
        "Imc2": float(np.sqrt(max(shared, 0.0))),
    }


def _maximal_correlation(p: Matrix, px: np.ndarray, py: np.ndarray) -> float:
    """The root of the second largest eigenvalue of Q; 1 where there is one level.

    Below zero, where only rounding leads, it is 0.
    """
    if len(p) < 2:
        return 1.0
    q = (p / (px * py + EPSILON)) @ p.T
    second = np.sort(np.linalg.eigvals(q).real)[-2]
    return float(np.sqrt(max(second, 0.0)))


NAMES = tuple(_features(np.ones((1, 1)), np.ones(1)))
