"""Which part of a manifest trains, validates and tests.

`holdout`: the test part is held out for good, one fold validates, the others train.
`rotation`, for cross-validation: fold `f` is the test set, the next fold validates, the
others train. The original stops training on the very fold that it reports; here nothing
of a fold reaches the network that predicts it.
"""

import numpy as np

from ultrasound_jax.data.examples import ExampleTable, SplitError
from ultrasound_jax.data.manifest import Manifest


def assign(
    manifest: Manifest, table: ExampleTable, *, protocol: str, fold: int
) -> dict[str, np.ndarray]:
    """The places of the `train`, `validation` and `test` examples.

    Raises SplitError for a manifest that the protocol cannot use.
    """
    places = manifest.indices(table, fold)
    has_test = len(places["test"]) > 0
    if protocol == "holdout":
        if not has_test:
            raise SplitError(
                "the splits have no test part, so nothing could be judged; give "
                "config.data.test_fraction above 0, or use --mode crossval"
            )
        return places
    if has_test or manifest.folds < 3:
        raise SplitError(
            "cross-validation takes splits of 3 or more folds and no test part; these "
            f"have {manifest.folds} folds and {len(places['test'])} test examples"
        )
    held_out = places["validation"]
    following = (fold + 1) % manifest.folds
    validation = manifest.indices(table, following)["validation"]
    others = np.setdiff1d(places["train"], validation)
    return {"train": others, "validation": validation, "test": held_out}
