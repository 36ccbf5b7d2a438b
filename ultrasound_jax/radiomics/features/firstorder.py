"""First-order statistics of the values inside a region."""

import numpy as np

from ultrasound_jax.radiomics.region import EPSILON, Region


def firstorder(region: Region) -> dict[str, float]:
    """The 18 features; entropy and uniformity are of grey levels, the rest of values.

    As in pyradiomics, a normal distribution has kurtosis 3, where IBSI subtracts 3, and
    a region of one value has skewness and kurtosis 0. Pixels have the volume 1.
    """
    values = region.values
    tenth, lower, upper, ninetieth = np.percentile(values, (10, 25, 75, 90))
    mean = values.mean()
    middle = values[(values >= tenth) & (values <= ninetieth)]
    share = region.counts() / len(region)
    energy = float((values**2).sum())
    second, third, fourth = (float(((values - mean) ** n).mean()) for n in (2, 3, 4))
    flat = second == 0
    found = {
        "10Percentile": tenth,
        "90Percentile": ninetieth,
        "Energy": energy,
        "Entropy": -(share * np.log2(share + EPSILON)).sum(),
        "InterquartileRange": upper - lower,
        "Kurtosis": 0.0 if flat else fourth / second**2,
        "Maximum": values.max(),
        "MeanAbsoluteDeviation": np.abs(values - mean).mean(),
        "Mean": mean,
        "Median": np.median(values),
        "Minimum": values.min(),
        "Range": np.ptp(values),
        "RobustMeanAbsoluteDeviation": np.abs(middle - middle.mean()).mean(),
        "RootMeanSquared": np.sqrt(energy / len(values)),
        "Skewness": 0.0 if flat else third / second**1.5,
        "TotalEnergy": energy,
        "Uniformity": (share**2).sum(),
        "Variance": values.std() ** 2,
    }
    return {name: float(value) for name, value in found.items()}
