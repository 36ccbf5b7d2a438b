"""Whether a model is not worse than the reference by more than a margin stated before.

The margin is the largest loss that would still be accepted, in the units of what is
compared (AUROC, or mean Dice of masks), and a difference is the model's value less the
reference's. By the 95 % interval of the deciding, clustered test, whose lower end is a
one-sided test at 2.5 % (Piaggio and others, CONSORT 2012), a model is

* `non-inferior`, if the whole interval is above -margin;
* `inferior`, if the whole interval is below -margin;
* `inconclusive` otherwise, which is not equality.

Each verdict is that of one comparison. `holm_p` adjusts the one-sided p over all
comparisons of its family, classes or macro as `compare` has them, and `holds` says
whether non-inferiority holds for them together.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import MACRO
from ultrasound_jax.analysis.stats._parts.metrics import number
from ultrasound_jax.analysis.stats._parts.multiplicity import holm

NON_INFERIOR, INFERIOR, INCONCLUSIVE = "non-inferior", "inferior", "inconclusive"
ONE_SIDED = 0.025


def check_margin(margin: float | None) -> None:
    """Refuses what is no margin; None is no question.

    Raises:
        AnalysisError: a margin that is not within 0 and 1.
    """
    if margin is not None and not 0 < margin < 1:
        raise AnalysisError(
            f"margin {margin:g}; allowed are 0 < margin < 1, in units of what is "
            "compared, such as 0.05 of an AUROC"
        )


def with_margin(tree: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """A tree of `compare`, with a verdict on each difference.

        "margin": number, and in each row of `differences`
        "non_inferiority": {"verdict", "p", "holm_p", "holds"}

    All four are null where the clustered test is not defined.

    Raises:
        AnalysisError: see `check_margin`.
    """
    check_margin(margin)
    rows = [
        dict(row) | {"non_inferiority": judged(row, margin)}
        for row in tree["differences"]
    ]
    for macro in (False, True):
        family = [r["non_inferiority"] for r in rows if (r["class"] == MACRO) == macro]
        p = np.array([entry["p"] for entry in family], float)
        for entry, adjusted in zip(family, holm(p), strict=True):
            entry["holm_p"] = number(adjusted)
            entry["holds"] = None
            if not np.isnan(adjusted):
                entry["holds"] = bool(adjusted <= ONE_SIDED)
    return dict(tree) | {"margin": margin, "differences": rows}


def judged(row: Mapping[str, Any], margin: float) -> dict[str, Any]:
    """The verdict on one difference, and its one-sided p."""
    ends, df = row["clustered_ci"], row["clustered_df"]
    if ends is None or df is None or ends[0] == ends[1]:
        return {"verdict": None, "p": None}
    verdict = INCONCLUSIVE
    if ends[0] > -margin:
        verdict = NON_INFERIOR
    elif ends[1] < -margin:
        verdict = INFERIOR
    reach = float(stats.t.isf(ONE_SIDED, df))
    # Of the lower side, so that p and verdict agree where sides differ.
    error = (row["difference"] - ends[0]) / reach
    p = float(stats.t.sf((row["difference"] + margin) / error, df))
    return {"verdict": verdict, "p": p if math.isfinite(p) else None}
