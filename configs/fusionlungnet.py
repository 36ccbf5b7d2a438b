"""FusionLungNet (Rezvani et al. 2025): lungs in slices of chest CT.

python -m ultrasound_jax.main --config configs/fusionlungnet.py[:VARIANT]

A network of CT: its results do not speak for ultrasound. Without a variant it segments
the embedded CT phantom and needs no data; the others take
`--config.data.manual_dir=DIR`, DIR as ultrasound_jax/datasets/lungsegdb/README.md says,
and write the masks that they find as TIF, as LungSegDB has its own.
"""

from typing import Any

from ml_collections import ConfigDict

from configs._base import of_variant

SLICES = {"stage": "preprocessed", "part": "V1", "values": "window"}
SLICES |= {"centre": -600.0, "width": 1500.0, "size": 96, "aspect": "keep"}


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def shared(config: Any) -> None:
    """What all variants have in common, an eighth as wide as published, for a CPU."""
    config.task.name = "segmentation"
    config.task.options.update({"loss": "fusionlungnet"})
    config.model.name = "fusionlungnet"
    config.model.options.update({"width": 8})
    config.train.select = "mean_dice"
    config.data.batch_size = 8
    config.data.eval_batch_size = 16
    # Sides of a chest are told apart by the heart: it is not mirrored.
    config.augment = [
        {"name": "flip_and_rotate", "flip": 0.0, "rotate": 0.5, "degrees": 10.0},
        {"name": "brightness", "gain": 0.1, "shift": 0.05},
    ]
    config.optim.name = "adam"
    config.optim.lr = 1e-3
    config.optim.schedule = "cosine"
    config.optim.warmup_epochs = 1.0
    config.optim.clip_norm = 1.0
    config.train.epochs = 12


def phantom_ct(config: Any) -> None:
    """The lungs of the embedded CT phantom, of Hounsfield units by a lung's window."""
    shared(config)
    config.data.name = "phantom_ct"
    config.data.options = ConfigDict(
        {"size": 64, "patients": 40, "slices": 6, "seed": 0}
    )
    lung_window(config)


def lungsegdb(config: Any) -> None:
    """V1 of LungSegDB, preprocessed (of LIDC-IDRI), split by the series of its names.

    `--config configs/fusionlungnet.py:lungsegdb --config.data.manual_dir=DIR --mode
    crossval`. Not run to its end yet.
    """
    shared(config)
    config.data.name = "lungsegdb"
    config.data.options = ConfigDict(SLICES)
    config.evaluation.mask_file = "tif"


def lungsegdb_v2(config: Any) -> None:
    """V2 of LungSegDB, preprocessed (of a set on Kaggle): as V1, and apart from it.

    `--config configs/fusionlungnet.py:lungsegdb_v2 --config.data.manual_dir=DIR --mode
    crossval`. Not run to its end yet.
    """
    lungsegdb(config)
    config.data.options.part = "V2"


def lungsegdb_raw(config: Any) -> None:
    """V1 of LungSegDB as scanned: records keep Hounsfield units, the step a window.

    `--config configs/fusionlungnet.py:lungsegdb_raw --config.data.manual_dir=DIR --mode
    crossval`; another window, of the same build: `--config.data.hu_centre=40
    --config.data.hu_width=400`. Slices of 8 bits are skipped, and listed. Not run to
    its end yet.
    """
    lungsegdb(config)
    config.data.options.stage = "raw"
    config.data.options.values = "hounsfield"
    lung_window(config)


def v1_to_v2(config: Any) -> None:
    """Trained on V1 with patients of its own held out, to be judged on V2 as a whole.

    `--config configs/fusionlungnet.py:v1_to_v2 --config.data.manual_dir=DIR --workdir
    RUN`, then `--mode evaluate --workdir RUN --config.data.options.part=V2
    --config.data.manual_dir=DIR --out V2`: nothing is trained or chosen on V2.
    """
    lungsegdb(config)
    config.data.options.part = "V1"


def published(config: Any) -> None:
    """V1 at the published size and recipe, for a GPU.

    `--config configs/fusionlungnet.py:published --config.data.manual_dir=DIR
    --config.init_from=RESNET50`, a ResNet-50's ImageNet weights as safetensors. As
    published: 320 pixels, the aspect not kept, Adam at 1e-3, batches of 8, 40 epochs,
    no augmentation, the sum of SSIM, IoU and focal losses of five maps. Not so: the
    losses are of logits (the original's focal loss squashes them twice), and the epoch
    is chosen on slices that are not reported. Not run.
    """
    lungsegdb(config)
    config.data.options.update({"size": 320, "aspect": "stretch"})
    config.model.options.update({"width": 64})
    config.init_part = "encoder"
    config.augment = []
    config.optim.schedule = "constant"
    config.optim.warmup_epochs = 0.0
    config.optim.clip_norm = 0.0
    config.train.epochs = 40


def lung_window(config: Any) -> None:
    """The window that the step puts Hounsfield units through."""
    config.data.hu_centre = -600.0
    config.data.hu_width = 1500.0


VARIANTS = {
    "": phantom_ct,
    "phantom_ct": phantom_ct,
    "lungsegdb": lungsegdb,
    "lungsegdb_v2": lungsegdb_v2,
    "lungsegdb_raw": lungsegdb_raw,
    "v1_to_v2": v1_to_v2,
    "published": published,
}
