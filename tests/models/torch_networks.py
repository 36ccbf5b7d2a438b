"""The PyTorch re-statements by the names and options of ours, for `benchmark torch`.

Needs PyTorch, and a checkout: they are the tests' and not installed.
"""

import math

import torch
from torch import nn

from tests.models.make_torch_reference import (
    PUBLISHED_WIDTHS,
    RESNETS,
    SEED,
    FrameVote,
    LuvNet,
    encoder_of,
)
from tests.models.make_torch_transformers import PUBLISHED, MViT, ViViT
from tests.models.reference_weights import random_tensor
from tests.models.torch_baselines import C3D, X3D, CnnLstm, R2Plus1D, Usvn
from tests.models.torch_segmenters import network_of
from ultrasound_jax.models.x3d import round_width

SEGMENTERS = ("unet", "mednext", "fusionlungnet", "breast_segnet")


class Classifier(nn.Module):
    """An encoder of images and a linear layer."""

    def __init__(self, encoder, outputs):
        super().__init__()
        self.encoder, self.fc = encoder, nn.Linear(encoder.size, outputs)

    def forward(self, image):
        return {"logits": self.fc(self.encoder(image))}


def flat_steps(shape):
    """Steps, rows and columns after C3D's last pool, multiplied."""
    frames, *sides = shape
    frames = frames // 8
    sides = [(side // 16 + 2) // 2 for side in sides]
    return max(frames // 2, 1) * math.prod(sides)


def build(name, shape, outputs, options):
    """The network with drawn weights, and whether it reads channels last.

    `shape` is of a clip, `(frames, height, width)`, or an image.
    """
    model, channels_last = unfilled(name, shape, outputs, options)
    state = {
        key: torch.from_numpy(random_tensor(key, tuple(value.shape), SEED))
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    model.load_state_dict(state, strict=False)
    return model, channels_last


def unfilled(name, shape, outputs, options):
    """The same with whatever `torch.nn` starts from, which may be nothing."""
    options = dict(options)
    if name in SEGMENTERS:
        channels = 3 if name in ("unet", "fusionlungnet") else 1
        net = network_of(name, channels=channels, patterns=outputs, **options)
        if name == "mednext":
            net.dummy_tensor = None  # ours has no number that is never used
        return net, False
    encoder, width = options.get("encoder"), options.get("width")
    made = options.get("heads", 8)
    if encoder:
        width = width or PUBLISHED_WIDTHS.get(encoder, 64)
        net = encoder_of(encoder, width)
        head = "fc" if encoder in RESNETS else "classifier"
    if name in RESNETS:
        return Classifier(encoder_of(name, width or 64), outputs), False
    if name == "frame_vote":
        return FrameVote(encoder, width), False
    if name == "usvn":
        return Usvn(net, options["pooling"], made), False
    if name == "cnn_lstm":
        sizes = {
            k: options[k] for k in ("embedding", "hidden", "layers") if k in options
        }
        return CnnLstm(net, head, **sizes), False
    if name == "c3d":
        return C3D(width or 64, flat_steps(shape)), False
    if name in ("r2plus1d_18", "r2plus1d_34"):
        blocks = {"r2plus1d_18": (2, 2, 2, 2), "r2plus1d_34": (3, 4, 6, 3)}
        return R2Plus1D(blocks[name], width or 64), False
    if name == "x3d_s":
        width = width or 24
        inner = [width * 2**i * 9 // 4 for i in range(4)]
        hidden = [round_width(size / 16) for size in inner]
        return X3D((3, 5, 11, 7), width, hidden, 2048 * width // 24), False
    if name == "vivit":
        return ViViT(shape, **options), True
    if name in PUBLISHED:
        return MViT(shape, PUBLISHED[name], name == "mvit_v2_s", width or 96), True
    kernel = options.get("kernel_size", 13)
    temporal = name == "luvnet"
    return LuvNet(encoder, width, temporal, made, kernel), False
