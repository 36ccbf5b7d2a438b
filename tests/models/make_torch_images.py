"""Records what PyTorch computes, in fixtures/torch_images.json. Needs PyTorch only.

    python -m tests.models.make_torch_images

As make_torch_reference.py, of the networks of torch_images.py. Recorded with PyTorch
2.13.0 on a CPU.
"""

import json
from pathlib import Path

import torch

from tests.models.make_torch_reference import SEED, summary
from tests.models.reference_weights import random_clip, random_tensor
from tests.models.torch_images import network_of

FIXTURE = Path(__file__).parent / "fixtures" / "torch_images.json"
ONE, COLOUR = {"channels": 1, "patterns": 3}, {"channels": 3, "patterns": 1}
# name: options of our network, height and width, train. No side is another's; those of
# the last two give several cells to flatten.
CASES = {
    "resnet_attention": ({"network": "resnet_attention", **ONE}, (64, 96), False),
    "resnet_attention_max_softmax": (
        {"network": "resnet_attention", "gate": "max_softmax", "width": 8, **ONE},
        (66, 90),
        False,
    ),
    "resnet_attention_sigmoid": (
        {"network": "resnet_attention", "gate": "sigmoid", "width": 8, **ONE},
        (66, 90),
        False,
    ),
    "resnet_attention_narrow_train": (
        {"network": "resnet_attention", "width": 8, **ONE},
        (66, 90),
        True,
    ),
    "resnet18_mlp": ({"network": "resnet18_mlp", **COLOUR}, (64, 96), False),
    "resnet18_mlp_narrow_train": (
        {"network": "resnet18_mlp", "width": 8, "hidden": 12, **COLOUR},
        (66, 90),
        True,
    ),
    "breast_cnn": ({"network": "breast_cnn", **ONE}, (50, 71), False),
    "breast_cnn_narrow_train": (
        {"network": "breast_cnn", "width": 4, **ONE},
        (50, 71),
        True,
    ),
    "autoencoder": ({"network": "autoencoder", **ONE}, (64, 96), False),
    "autoencoder_narrow_train": (
        {"network": "autoencoder", "width": 2, "code": 24, **ONE},
        (64, 96),
        True,
    ),
}


def flat(outputs):
    """Each array by a name of its own: those of a tuple are numbered."""
    found = {}
    for name, value in outputs.items():
        several = isinstance(value, tuple)
        found |= (
            {f"{name}.{i}": v for i, v in enumerate(value)}
            if several
            else {name: value}
        )
    return found


def record(options, pixels, train):
    options = dict(options)
    name = options.pop("network")
    model = network_of(name, pixels=pixels, **options).train(train)
    state = {
        key: torch.from_numpy(random_tensor(key, tuple(value.shape), SEED))
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    model.load_state_dict(state, strict=False)
    image = torch.from_numpy(random_clip((4, *pixels, options["channels"]), SEED))
    out = model(image.permute(0, 3, 1, 2))
    case = {
        "network": name,
        "options": options,
        "pixels": pixels,
        "train": train,
        "outputs": {key: summary(value) for key, value in flat(out).items()},
    }
    if out["logits"].ndim == 2:
        case["logits"] = out["logits"].tolist()
    if train:
        out["logits"].square().mean().backward()
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
    torch.manual_seed(0)
    cases = {name: record(*case) for name, case in CASES.items()}
    FIXTURE.write_text(json.dumps({"seed": SEED, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
