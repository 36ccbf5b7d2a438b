"""The segmentation network of a public demonstration on BUSI: published, and mended.

python -m ultrasound_jax.main --config configs/breast_segnet.py[:VARIANT]

As published all convolutions are 1x1, so that a pixel knows nothing of its
neighbourhood beyond three halvings: it cannot segment, and its accuracy is that of
saying "no lesion" everywhere. With 3x3 convolutions and skips it can.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import unet
from configs._base import of_variant

MENDED = {"kernel_size": 3, "skips": True, "width": 16}
PUBLISHED = {"kernel_size": 1, "skips": False, "width": 16}


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def phantom(config: Any) -> None:
    """The clear lesions of the embedded phantom, by 3x3 convolutions with skips."""
    unet.phantom(config)
    network(config, MENDED)


def busi(config: Any) -> None:
    """The lesions of BUSI by 3x3 convolutions with skips, in the folds of unet.py:busi.

    `--config configs/breast_segnet.py:busi --config.data.manual_dir=DIR --mode
    crossval`. Not run to its end yet.
    """
    unet.busi(config)
    network(config, MENDED)


def busi_published(config: Any) -> None:
    """As the demonstration has it: 1x1 convolutions, cross-entropy alone, 256 pixels.

    `--config configs/breast_segnet.py:busi_published --config.data.manual_dir=DIR
    --mode crossval`, in the folds of unet.py:busi. As published: the aspect not kept,
    Adam at 1e-3, batches of 30, 25 epochs, no augmentation. Not so: masks of an image
    are joined, the epoch is chosen by Dice, and folds are of near-duplicate groups. Not
    run to its end yet.
    """
    unet.busi(config)
    network(config, PUBLISHED)
    config.data.options = ConfigDict({"size": 256, "aspect": "stretch"})
    config.data.batch_size = 30
    config.task.options.update({"cross_entropy": 1.0, "dice": 0.0})
    config.augment = []
    config.optim.name = "adam"
    config.optim.schedule = "constant"
    config.optim.warmup_epochs = 0.0
    config.optim.clip_norm = 0.0
    config.optim.ema = 0.0
    config.train.epochs = 25


def network(config: Any, options: dict[str, Any]) -> None:
    """The demonstration's network in the place of a U-Net."""
    config.model.name = "breast_segnet"
    config.model.options = ConfigDict(options)


VARIANTS = {
    "": phantom,
    "phantom": phantom,
    "busi": busi,
    "busi_published": busi_published,
}
