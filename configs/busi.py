"""BUSI (Al-Dhabyani et al. 2020), breast ultrasound: three classes, or the lesions.

python -m ultrasound_jax.main --config configs/busi.py[:VARIANT] --mode crossval \\
    --config.data.manual_dir=DIR

DIR holds Dataset_BUSI_with_GT. The set names no patients: folds are of near-duplicate
groups, which is the best that can be done, and less than a split by patient.
"""

from typing import Any

from ml_collections import ConfigDict

from configs._base import of_variant


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def shared(config: Any) -> None:
    """What both variants have in common, sized for two CPU cores."""
    config.data.name = "busi"
    config.data.options = ConfigDict({"size": 128})
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


def classify(config: Any) -> None:
    """Benign, malignant or normal, by ResNet-18 of a quarter of its width.

    `--config configs/busi.py --config.data.manual_dir=DIR --mode crossval`, AMD EPYC
    with 2 cores, 5.7 minutes for five folds: macro AUROC 0.773 [0.740, 0.804], balanced
    accuracy 0.625 [0.581, 0.667] (experiments/results/busi_baselines.json).
    """
    shared(config)
    config.task.name = "multiclass"
    config.model.name = "resnet18"
    config.model.options.update({"width": 16})
    config.task.options.update({"class_weights": "balanced"})
    config.train.select = "macro_auroc"
    config.train.epochs = 15


def segment(config: Any) -> None:
    """The lesions, by a small U-Net. Pictures without a lesion are part of the set.

    `--config configs/busi.py:segment --config.data.manual_dir=DIR --mode crossval`, AMD
    EPYC with 2 cores, 22.5 minutes for five folds: mean Dice 0.515 [0.484, 0.546]
    (experiments/results/busi_baselines.json).
    """
    shared(config)
    config.task.name = "segmentation"
    config.model.name = "unet"
    config.model.options.update({"width": 12, "depth": 4})
    config.task.options.update({"cross_entropy": 1.0, "dice": 1.0})
    config.train.select = "mean_dice"
    config.train.epochs = 15


VARIANTS = {"": classify, "segment": segment}
