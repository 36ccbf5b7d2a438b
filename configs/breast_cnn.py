"""A small network of a public demonstration on BUSI, for breast images.

python -m ultrasound_jax.main --config configs/breast_cnn.py[:VARIANT]
"""

from typing import Any

from ml_collections import ConfigDict

from configs._base import of_variant


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def shared(config: Any) -> None:
    """What all variants have in common: the demonstration's network and optimiser."""
    config.task.name = "multiclass"
    config.model.name = "breast_cnn"
    config.train.select = "macro_auroc"
    config.data.batch_size = 32
    config.data.eval_batch_size = 32
    config.augment = []
    config.optim.name = "adam"
    config.optim.lr = 1e-3
    config.optim.schedule = "constant"
    config.train.epochs = 20


def phantom(config: Any) -> None:
    """The embedded phantom of lesions, sized for two CPU cores."""
    shared(config)
    config.data.name = "lesion_phantom"
    config.data.options = ConfigDict(
        {"size": 96, "patients": 300, "images": 2, "seed": 0}
    )


def busi(config: Any) -> None:
    """BUSI as the demonstration has it: 256 pixels, no augmentation, 20 epochs.

    `--config configs/breast_cnn.py:busi --config.data.manual_dir=DIR --mode crossval`.
    Folds are of near-duplicate groups, and masks are no pictures; the demonstration
    split files at random, the masks' among them. Not run to its end yet.
    """
    shared(config)
    config.data.name = "busi"
    config.data.options = ConfigDict({"size": 256})


VARIANTS = {"": phantom, "phantom": phantom, "busi": busi}
