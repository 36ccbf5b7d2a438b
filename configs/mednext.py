"""MedNeXt (Roy et al. 2023) in two dimensions, as PU2756 has it, for masks of lesions.

python -m ultrasound_jax.main --config configs/mednext.py[:VARIANT]

All five maps are trained, each brought to the mask's size (`heads="logits"` trains the
finest alone); the finest is judged. Variants differ from configs/unet.py in the network
alone, so that `analysis compare` tells both apart by paired tests.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import unet
from configs._base import of_variant


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def phantom(config: Any) -> None:
    """The clear lesions of the embedded phantom, sized for two CPU cores."""
    unet.phantom(config)
    network(config, width=8, depth=3, blocks=1)


def busi(config: Any) -> None:
    """The lesions of BUSI at half the published width, sized for two CPU cores.

    `--config configs/mednext.py:busi --config.data.manual_dir=DIR --mode crossval`, in
    the folds of `configs/unet.py:busi`. Not run to its end yet.
    """
    unet.busi(config)
    network(config, width=16, depth=4, blocks=1)


def pu2756(config: Any) -> None:
    """PU2756's MedNeXt at its size, with the residual paths that it leaves out.

    `--config configs/mednext.py:pu2756 --config.data.manual_dir=DIR --mode crossval`,
    for a GPU. Not run: the images are not public. `--config.model.options.residual=
    False` is the original. It pretrains on BUSI, DDTI and TG3K:
    docs/segmentation_recipes.md. The original judges the coarsest of its maps.
    """
    unet.pu2756(config)
    network(config, width=32, depth=4, blocks=2)


def network(config: Any, *, width: int, depth: int, blocks: int) -> None:
    """MedNeXt in the place of a U-Net."""
    config.model.name = "mednext"
    config.model.options = ConfigDict(
        {"residual": True, "width": width, "depth": depth, "blocks": blocks}
    )


VARIANTS = {"": phantom, "phantom": phantom, "busi": busi, "pu2756": pu2756}
