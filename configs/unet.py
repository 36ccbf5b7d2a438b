"""U-Net (Ronneberger et al. 2015; PU2756's widths) for masks of lesions.

python -m ultrasound_jax.main --config configs/unet.py[:VARIANT]

Without a variant it segments the embedded phantom and needs no data. Variants of other
sets take `--config.data.manual_dir=DIR`, and `--mode crossval` for five folds. A run is
a beginning for another set: `--config.init_from=RUN` (docs/segmentation_recipes.md).
"""

from typing import Any

from ml_collections import ConfigDict

from configs import fusionlungnet
from configs._base import of_variant

PHANTOM = {"size": 64, "patients": 150, "images": 2, "seed": 0, "clear": True}


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def shared(config: Any) -> None:
    """What all variants have in common, sized for two CPU cores."""
    config.task.name = "segmentation"
    config.model.name = "unet"
    config.model.options.update({"width": 16, "depth": 4})
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
    """The clear lesions of the embedded phantom; a third of its patients have none.

    `--config configs/unet.py`, sized to end within five minutes on two CPU cores, the
    phantom's making, report and contact sheet included.
    """
    shared(config)
    config.data.name = "lesion_phantom"
    config.data.options = ConfigDict(PHANTOM)
    config.model.options.update({"width": 12, "depth": 3})
    config.data.batch_size = 8
    config.optim.lr = 3e-3
    config.optim.ema = 0.95
    config.train.epochs = 16


def busi(config: Any) -> None:
    """The lesions of BUSI, from scratch; pictures without a lesion are part of the set.

    `--config configs/unet.py:busi --config.data.manual_dir=DIR --mode crossval`, DIR as
    ultrasound_jax/datasets/busi/README.md says. Folds are of near-duplicate groups, as
    the set names no patients. `configs/busi.py:segment` is a narrower one of fewer
    epochs, with a committed result.
    """
    shared(config)
    config.data.name = "busi"
    config.data.options = ConfigDict({"size": 128})
    config.train.epochs = 20


def busi_encoder(config: Any) -> None:
    """The lesions of BUSI, on an encoder that knows ImageNet.

    `--config configs/unet.py:busi_encoder --config.data.manual_dir=DIR --mode crossval
    --config.init_from=efficientnet_lite0.safetensors`, the file as docs/pretrained.md
    says. The encoder learns at a tenth of the rate, and its norms normalise as its
    weights were trained. Any encoder with a pyramid will do:
    `--config.model.options.encoder=resnet18`.
    """
    busi(config)
    config.model.options = ConfigDict({"encoder": "efficientnet_lite0", "width": 8})
    config.init_part = "encoder"
    config.optim.encoder_rate = 0.1
    config.optim.frozen_norms = True


def lungsegdb(config: Any) -> None:
    """Lungs in slices of chest CT: V1 of LungSegDB, as configs/fusionlungnet.py has it.

    `--config configs/unet.py:lungsegdb --config.data.manual_dir=DIR --mode crossval`,
    with cross-entropy and Dice in the place of FusionLungNet's losses.
    """
    fusionlungnet.lungsegdb(config)
    config.task.options = ConfigDict({"cross_entropy": 1.0, "dice": 1.0})
    config.model.name = "unet"
    config.model.options = ConfigDict({"width": 16, "depth": 4})


def pu2756(config: Any) -> None:
    """PU2756's U-Net as published: 256 pixels, 32 channels at the top, focal and Dice.

    `--config configs/unet.py:pu2756 --config.data.manual_dir=DIR --mode crossval`, DIR
    as ultrasound_jax/datasets/pu2756/README.md says; for a GPU. Not run: the images are
    not public. As published: Adam at 1e-4, batches of 4, 40 epochs, no augmentation,
    the aspect not kept. Not so: the loss is of logits (the original squashes them
    twice), and the epoch is chosen on patients who are never reported.
    """
    shared(config)
    config.data.name = "pu2756"
    config.data.options = ConfigDict({"size": 256, "aspect": "stretch"})
    config.data.batch_size = 4
    config.model.options.update({"width": 32})
    published(config)


def published(config: Any) -> None:
    """How PU2756 trains both of its networks of masks."""
    config.task.options.update({"loss": "focal_dice"})
    config.augment = []
    config.optim.name = "adam"
    config.optim.lr = 1e-4
    config.optim.schedule = "constant"
    config.optim.warmup_epochs = 0.0
    config.optim.clip_norm = 0.0
    config.optim.ema = 0.0
    config.train.epochs = 40


VARIANTS = {
    "": phantom,
    "phantom": phantom,
    "busi": busi,
    "busi_encoder": busi_encoder,
    "lungsegdb": lungsegdb,
    "pu2756": pu2756,
}
