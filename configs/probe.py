"""A linear probe of a pretrained encoder: the first thing to run on a new study.

python -m ultrasound_jax.main --config configs/probe.py:VARIANT --mode probe \\
    --config.data.manual_dir=DIR --config.init_from=efficientnet_lite0.safetensors

docs/pretrained.md says how everybody gets the weights. Nothing is trained but a
logistic regression on frozen features; folds and table are those of `--mode crossval`
with the configuration that a variant is made of. `--mode train` fine-tunes the network.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import busi as of_busi
from configs import luvnet
from configs._base import of_variant

ENCODER = {"encoder": "efficientnet_lite0"}


def get_config(arg: str = "") -> Any:
    """The settings of the variant, which VARIANTS names."""
    return of_variant(__file__, VARIANTS, arg)


def clips(config: Any) -> None:
    """Each frame of a clip encoded by itself; what is trained votes with their mean."""
    config.init_part = "encoder"
    config.model.name = "frame_vote"
    config.model.options = ConfigDict(ENCODER | {"pooling": "mean"})
    config.data.eval_batch_size = 8
    config.optim.lr = 1e-4


def phantom(config: Any) -> None:
    """The embedded phantom, which needs no files but the weights."""
    luvnet.phantom(config)
    clips(config)


def pocus(config: Any) -> None:
    """Four patterns in the POCUS videos, in the folds of `configs/luvnet.py:pocus`."""
    luvnet.pocus(config)
    clips(config)
    config.data.options.size = 192


def videos(config: Any) -> None:
    """Your own videos and a spreadsheet, as `configs/luvnet.py:videos` reads them."""
    luvnet.videos(config)
    clips(config)
    config.data.options.size = 192


def busi(config: Any) -> None:
    """Benign, malignant or normal breasts, in the folds of `configs/busi.py`."""
    of_busi.classify(config)
    config.init_part = "encoder"
    config.model.name = "image_classifier"
    config.model.options = ConfigDict(ENCODER)
    config.data.options.size = 224
    config.optim.lr = 1e-4


VARIANTS = {"": phantom, "busi": busi, "pocus": pocus, "videos": videos}
