"""Your own pictures in folders, without code: classes by ResNet-18, lesions by U-Net.

python -m ultrasound_jax.main --config configs/folder.py[:VARIANT] --mode crossval \\
    --config.data.manual_dir=DIR

docs/own_pictures.md is the walk; what lies in DIR say the options below, each of them
described in ultrasound_jax/datasets/folder/README.md.
"""

from typing import Any

from ml_collections import ConfigDict

from configs._base import of_variant

FOLDER = {
    "study": "",
    "images": "",
    "class_from": "folder",
    "classes": "",
    "class_pattern": "",
    "mask_folder": "",
    "mask_name": "",
    "without_mask": "skip",
    "sheet": "",
    "rename": "",
    "patient_from": "sheet_or_likeness",
    "series": "",
    "ids": "counted",
    "size": 128,
    "aspect": "keep",
    "page": 0,
    "mask_labels": "",
    "mask_colours": "",
}


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def shared(config: Any) -> None:
    """What both variants have in common, sized for two CPU cores."""
    config.data.name = "folder"
    config.data.options = ConfigDict(FOLDER)
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
    config.train.epochs = 15


def classify(config: Any) -> None:
    """Which class a picture is of: `--config configs/folder.py`."""
    shared(config)
    config.task.name = "multiclass"
    config.task.options.update({"class_weights": "balanced"})
    config.model.name = "resnet18"
    config.model.options.update({"width": 16})
    config.train.select = "macro_auroc"


def segment(config: Any) -> None:
    """Where the masks' structures are: `--config configs/folder.py:segment`.

    Say where masks lie: `--config.data.options.mask_name='*_mask'`, or `mask_folder`.
    """
    shared(config)
    config.task.name = "segmentation"
    config.task.options.update({"cross_entropy": 1.0, "dice": 1.0})
    config.model.name = "unet"
    config.model.options.update({"width": 12, "depth": 4})
    config.train.select = "mean_dice"


VARIANTS = {"": classify, "segment": segment}
