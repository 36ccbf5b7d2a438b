"""Candidates as Optuna's tree-structured Parzen estimator proposes them.

The published searches used Hyperopt's, each dimension on its own as here. It counts a
quarter of the square root of the trials as good ones; Optuna, a tenth of them.
"""

import math
import warnings
from collections.abc import Sequence

from ultrasound_jax.augment.search.presets import Preset
from ultrasound_jax.augment.search.space import Space, SubPolicy

Told = tuple[list[SubPolicy], float]  # a candidate and its loss
WORST = 1e30  # stands for a loss that is not finite


def propose(
    space: Space, told: Sequence[Told], count: int, *, preset: Preset, seed: int
) -> list[list[SubPolicy]]:
    """The next candidates, as a function of what is known alone.

    A search that was killed therefore proposes what an unbroken one would. Candidates
    that are asked for together take each other for poor (the "constant liar"), so that
    they do not all lie in one place; with `count` 1 it is the published sequence.
    """
    import optuna
    from optuna.trial import create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=preset.startup,
            n_ei_candidates=preset.proposals,
            multivariate=False,
            constant_liar=True,
            seed=(10_007 * seed + len(told)) % 2**32,
        )
    study = optuna.create_study(sampler=sampler, direction="minimize")
    distributions = space.distributions()
    for candidate, loss in told:
        value = loss if math.isfinite(loss) else WORST
        study.add_trial(
            create_trial(
                params=space.point(candidate),
                distributions=distributions,
                value=value,
            )
        )
    asked = [study.ask(distributions) for _ in range(count)]
    return [space.candidate(trial.params) for trial in asked]
