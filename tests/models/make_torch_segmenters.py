"""Records what PyTorch computes, in fixtures/torch_segmenters.json. Needs PyTorch only.

    python -m tests.models.make_torch_segmenters

As make_torch_images.py, of the networks of torch_segmenters.py, and in float64: of a
training step of FusionLungNet PyTorch's own float32 is off by percents. Recorded with
PyTorch 2.13.0 on a CPU.
"""

import json
from pathlib import Path

import torch

from tests.models.make_torch_reference import SEED, summary
from tests.models.reference_weights import random_clip, random_tensor
from tests.models.torch_segmenters import network_of

FIXTURE = Path(__file__).parent / "fixtures" / "torch_segmenters.json"
GREY, COLOUR = {"channels": 1}, {"channels": 3, "patterns": 1}
LUNGS = {"network": "fusionlungnet", **COLOUR}
MEDNEXT = {"network": "mednext", "patterns": 2, **GREY}
BREAST = {"network": "breast_segnet", "patterns": 1, **GREY}
NARROW = {"width": 4, "dropout": 0.0}
# name: options of our network, height and width, train
CASES = {
    "unet": ({"network": "unet", "patterns": 1, **GREY}, (32, 48), False),
    "unet_resnet18": (
        {"network": "unet", "encoder": "resnet18", **COLOUR},
        (64, 96),
        False,
    ),
    "unet_group_train": (
        {"network": "unet", "width": 4, "depth": 2, "norm": "group", **COLOUR},
        (12, 20),
        True,
    ),
    "unet_none_train": (
        {"network": "unet", "width": 4, "depth": 2, "norm": "none", **COLOUR},
        (12, 20),
        True,
    ),
    "mednext": (MEDNEXT, (32, 48), False),
    "mednext_without_residual": (MEDNEXT | {"residual": False}, (32, 48), False),
    "mednext_train": (MEDNEXT | {"width": 4, "depth": 2}, (12, 20), True),
    "fusionlungnet": (LUNGS, (64, 96), False),
    "fusionlungnet_train": (LUNGS | {"width": 4}, (64, 96), True),
    "breast_segnet": (BREAST, (32, 48), False),
    "breast_segnet_train": (BREAST | NARROW, (24, 40), True),
    "breast_segnet_skips_train": (
        BREAST | NARROW | {"kernel_size": 3, "skips": True},
        (24, 40),
        True,
    ),
}


def record(options, pixels, train):
    options = dict(options)
    name = options.pop("network")
    model = network_of(name, **options).train(train)
    state = {
        key: torch.from_numpy(random_tensor(key, tuple(value.shape), SEED))
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    model.load_state_dict(state, strict=False)
    image = torch.from_numpy(random_clip((4, *pixels, options["channels"]), SEED))
    out = model.double()(image.double().permute(0, 3, 1, 2))
    case = {
        "network": name,
        "options": options,
        "pixels": pixels,
        "train": train,
        "outputs": {key: summary(value) for key, value in out.items()},
    }
    if train:
        sum(value.square().mean() for value in out.values()).backward()
        case["gradient_norms"] = {
            key: value.grad.norm().item()
            for key, value in model.named_parameters()
            if value.grad is not None
        }
        case["running"] = {
            key: summary(value)
            for key, value in model.named_buffers()
            if value.ndim == 1
        }
    return case


def main():
    cases = {name: record(*case) for name, case in CASES.items()}
    FIXTURE.write_text(json.dumps({"seed": SEED, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
