"""U-Net (Ronneberger et al. 2015; PU2756's widths) for masks of lesions.

python -m ultrasound_jax.main --config configs/unet.py[:VARIANT]

Without a variant it segments the embedded phantom and needs no data. Variants of other
sets take `--config.data.manual_dir=DIR`, and `--mode crossval` for five folds.
"""

from typing import Any

from ml_collections import ConfigDict

from configs._base import of_variant

PHANTOM = {"size": 64, "patients": 150, "images": 2, "seed": 0, "clear": True}


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def shared(config: Any) -> None:
    """What all variants have in common, sized for two CPU cores."""
    config.task.name = "segmentation"
    config.task.options.update({"cross_entropy": 1.0, "dice": 1.0})
    config.model.name = "unet"
    config.model.options.update({"width": 12, "depth": 4})
    config.train.select = "mean_dice"
    config.data.batch_size = 16
    config.data.eval_batch_size = 32
    config.augment = [
        {"name": "flip_and_rotate", "flip": 0.5, "rotate": 0.5, "degrees": 15.0},
        {"name": "brightness", "gain": 0.2, "shift": 0.1},
    ]
    config.optim.name = "adamw"
    config.optim.lr = 1e-3
    config.optim.weight_decay = 1e-2
    config.optim.schedule = "cosine"
    config.optim.warmup_epochs = 1.0
    config.optim.clip_norm = 1.0
    config.optim.ema = 0.98


def phantom(config: Any) -> None:
    """The lesions of the embedded phantom; a third of its patients have none.

    `--config configs/unet.py`.
    """
    shared(config)
    config.data.name = "lesion_phantom"
    config.data.options = ConfigDict(PHANTOM)
    config.model.options.update({"depth": 3})
    config.data.batch_size = 8
    config.optim.lr = 3e-3
    config.optim.ema = 0.95
    config.train.epochs = 16


VARIANTS = {"": phantom, "phantom": phantom}
