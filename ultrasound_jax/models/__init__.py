"""Flax NNX networks, by name. They know nothing of configs, data or tasks.

A clip network is called as `model(clip, lengths, rngs=rngs)` with `clip` `b t h w c`,
already normalised, and returns a dict with `logits` and what its class lists.
"""

import inspect
from typing import Any

from flax import nnx

from ultrasound_jax.models._parts.layers import ModelError
from ultrasound_jax.models.c3d import C3D
from ultrasound_jax.models.cnn_lstm import CnnLstm
from ultrasound_jax.models.frame_vote import FrameVote
from ultrasound_jax.models.luvnet import LuvNet, LuvNetNoTemporal
from ultrasound_jax.models.mvit import MViTv1B, MViTv2S
from ultrasound_jax.models.r2plus1d import R2Plus1D18, R2Plus1D34
from ultrasound_jax.models.usvn import Usvn
from ultrasound_jax.models.vivit import ViViT
from ultrasound_jax.models.x3d import X3DS

MODELS: dict[str, type[Any]] = {
    "luvnet": LuvNet,
    "luvnet_no_temporal": LuvNetNoTemporal,
    "usvn": Usvn,
    "cnn_lstm": CnnLstm,
    "frame_vote": FrameVote,
    "c3d": C3D,
    "r2plus1d_18": R2Plus1D18,
    "r2plus1d_34": R2Plus1D34,
    "x3d_s": X3DS,
    "vivit": ViViT,
    "mvit_v1_b": MViTv1B,
    "mvit_v2_s": MViTv2S,
}

__all__ = ["MODELS", "ModelError", "build"]


def build(name: str, *, rngs: nnx.Rngs, **kwargs: Any) -> nnx.Module:
    """The network of that name; `kwargs` are its constructor's options.

    Raises `ModelError`, naming what is allowed, for a wrong name, option or value.
    """
    if name not in MODELS:
        raise ModelError(f"model {name!r}: allowed are {', '.join(sorted(MODELS))}")
    parameters = inspect.signature(MODELS[name].__init__).parameters
    options = sorted(set(parameters) - {"self", "rngs"})
    for option in kwargs:
        if option not in options:
            raise ModelError(
                f"option {option!r} of model {name!r}: allowed are {', '.join(options)}"
            )
    return MODELS[name](rngs=rngs, **kwargs)
