"""Several folds' networks as one: the majority of their decisions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ultrasound_jax.analysis.errors import AnalysisError


def majority(decisions: Float[np.ndarray, "m n k"]) -> Float[np.ndarray, "n k"]:
    """The majority: 1 where more than half of the m say so, 0 where fewer, else NaN.

    Only those who say anything count; a tie, or nobody, is unknown. Of five folds that
    is three or more, as LUV-Net has it.

    Raises:
        AnalysisError: nobody.
    """
    if not len(decisions):
        raise AnalysisError("a majority of nobody")
    said = (~np.isnan(decisions)).sum(axis=0)
    twice = 2 * np.nansum(decisions, axis=0)
    return np.where(twice == said, np.nan, (twice > said).astype(float))


def any_of(decisions: Float[np.ndarray, "m n k"]) -> Float[np.ndarray, "n k"]:
    """The widest view: 1 where anybody says so, 0 where all say no, else NaN.

    What the original calls the readers' majority is coded as this.
    """
    yes = (decisions == 1).any(axis=0)
    no = (decisions == 0).all(axis=0)
    return np.where(yes, 1.0, np.where(no, 0.0, np.nan))


CONSENSUS = {"majority": majority, "any": any_of}


def consensus(
    labels: Sequence[Float[np.ndarray, "n k"]], how: str
) -> Float[np.ndarray, "n k"]:
    """Joins raters' labels by `majority` or `any`.

    Raises:
        AnalysisError: another way, or nobody.
    """
    if how not in CONSENSUS:
        raise AnalysisError(f"consensus '{how}'; allowed are {', '.join(CONSENSUS)}")
    if not labels:
        raise AnalysisError("a consensus of nobody")
    return CONSENSUS[how](np.stack(labels))
