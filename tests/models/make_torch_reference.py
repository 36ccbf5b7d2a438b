"""Records what PyTorch computes, in fixtures/torch_reference.json. Needs PyTorch only.

    python -m tests.models.make_torch_reference

The networks are written here once more from the papers with `torch.nn`, under the
original's parameter names. Weights and clips come from `reference_weights.py`, so only
PyTorch's outputs are stored. Recorded with PyTorch 2.13.0 on a CPU.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tests.models.reference_weights import random_clip, random_tensor
from tests.models.torch_baselines import C3D, X3D, CnnLstm, R2Plus1D, Usvn

FIXTURE = Path(__file__).parent / "fixtures" / "torch_reference.json"
SEED = 7
DENSENETS = {
    "tiny_dense": (2, 2),
    "densenet121": (6, 12, 24, 16),
    "densenet161": (6, 12, 36, 24),
}
RESNETS = {"resnet18": (False, (2, 2, 2, 2)), "resnet50": (True, (3, 4, 6, 3))}

# name: network, encoder, width, pixels, train
NARROW, FULL = (70, 54), (64, 64)
CASES = {
    "luvnet_resnet50_narrow": ("luvnet", "resnet50", 8, NARROW, False),
    "tfwo_dense_narrow": ("luvnet_no_temporal", "tiny_dense", 8, NARROW, False),
    "frame_vote_resnet18_narrow": ("frame_vote", "resnet18", 8, NARROW, False),
    "luvnet_dense_narrow_train": ("luvnet", "tiny_dense", 8, NARROW, True),
    "luvnet_densenet161": ("luvnet", "densenet161", 96, FULL, False),
    "luvnet_resnet50": ("luvnet", "resnet50", 64, FULL, False),
    "tfwo_densenet161": ("luvnet_no_temporal", "densenet161", 96, FULL, False),
    "frame_vote_densenet121": ("frame_vote", "densenet121", 64, FULL, False),
}
USUAL, LONG = (3, *FULL), (16, 112, 112)
# name: options of our network, (frames, height, width) of the clips, train
VIDEO_CASES = {
    "usvn_narrow": (
        {"network": "usvn", "encoder": "resnet18", "width": 8},
        (3, *NARROW),
        False,
    ),
    "usvn_tanh_narrow": (
        {
            "network": "usvn",
            "encoder": "tiny_dense",
            "width": 8,
            "pooling": "tanh_attention",
        },
        (3, *NARROW),
        False,
    ),
    "cnn_lstm_narrow": (
        {"network": "cnn_lstm", "encoder": "tiny_dense", "width": 8},
        (5, *NARROW),
        False,
    ),
    "cnn_lstm_narrow_train": (
        {"network": "cnn_lstm", "encoder": "tiny_dense", "width": 8},
        (5, *NARROW),
        True,
    ),
    "c3d_narrow": (
        {"network": "c3d", "width": 4, "clip_shape": (19, 38, 51)},
        (19, 38, 51),
        False,
    ),
    "c3d_narrow_train": (
        {"network": "c3d", "width": 4, "clip_shape": (19, 38, 51)},
        (19, 38, 51),
        True,
    ),
    "r2plus1d_narrow": (
        {"network": "tiny_r2plus1d", "width": 8},
        (5, 38, 51),
        False,
    ),
    "r2plus1d_narrow_train": (
        {"network": "tiny_r2plus1d", "width": 8},
        (5, 38, 51),
        True,
    ),
    "x3d_narrow": ({"network": "tiny_x3d", "width": 8}, (5, 38, 51), False),
    "x3d_narrow_train": ({"network": "tiny_x3d", "width": 8}, (5, 38, 51), True),
    "usvn_densenet161": ({"network": "usvn", "encoder": "densenet161"}, USUAL, False),
    "cnn_lstm_densenet161": (
        {"network": "cnn_lstm", "encoder": "densenet161"},
        USUAL,
        False,
    ),
    "cnn_lstm_resnet50": ({"network": "cnn_lstm", "encoder": "resnet50"}, USUAL, False),
    "c3d": ({"network": "c3d", "clip_shape": LONG}, LONG, False),
    "r2plus1d_18": ({"network": "r2plus1d_18"}, (9, *FULL), False),
    "r2plus1d_34": ({"network": "r2plus1d_34"}, (9, *FULL), False),
    "x3d_s": ({"network": "x3d_s"}, (5, *FULL), False),
}


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(y)))], 1)


class Transition(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.norm(x))), 2, 2)


class DenseNet(nn.Module):
    def __init__(self, layers, width):
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module(
            "conv0", nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        )
        self.features.add_module("norm0", nn.BatchNorm2d(width))
        self.features.add_module("relu0", nn.ReLU())
        self.features.add_module("pool0", nn.MaxPool2d(3, 2, padding=1))
        size = width
        for i, count in enumerate(layers, 1):
            block = nn.Sequential()
            for j in range(1, count + 1):
                block.add_module(f"denselayer{j}", DenseLayer(size, width // 2))
                size += width // 2
            self.features.add_module(f"denseblock{i}", block)
            if i < len(layers):
                self.features.add_module(f"transition{i}", Transition(size))
                size //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(size))
        self.size = size

    def forward(self, x):
        return F.relu(self.features(x)).mean((2, 3))


class Block(nn.Module):
    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        outputs = width * (4 if bottleneck else 1)
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        strided = 1 if bottleneck else 0
        last, self.depth = inputs, len(kernels)
        for i, kernel in enumerate(kernels):
            size = outputs if i == self.depth - 1 else width
            step = stride if i == strided else 1
            conv = nn.Conv2d(last, size, kernel, step, kernel // 2, bias=False)
            setattr(self, f"conv{i + 1}", conv)
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(size))
            last = size
        self.downsample = None
        if stride > 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = F.relu(y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, bottleneck, blocks, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        size = width
        for i, count in enumerate(blocks):
            stage = nn.Sequential()
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                stage.append(Block(size, width * 2**i, stride, bottleneck))
                size = width * 2**i * (4 if bottleneck else 1)
            setattr(self, f"layer{i + 1}", stage)
        self.size = size

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return x.mean((2, 3))


def encoder_of(name, width):
    if name in DENSENETS:
        return DenseNet(DENSENETS[name], width)
    return ResNet(*RESNETS[name], width)


class FrameVote(nn.Module):
    def __init__(self, encoder, width):
        super().__init__()
        net = encoder_of(encoder, width)
        self.__dict__["encode"] = net
        for name, child in net.named_children():
            self.add_module(name, child)
        self.head = "classifier" if encoder in DENSENETS else "fc"
        self.add_module(self.head, nn.Linear(net.size, 4))

    def forward(self, clip):
        features = self.encode(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        frame_logits = getattr(self, self.head)(features)
        return {
            "logits": frame_logits.mean(1),
            "features": features,
            "frame_logits": frame_logits,
        }


class LuvNet(nn.Module):
    def __init__(self, encoder, width, temporal, heads=8, kernel_size=13):
        super().__init__()
        self.encoder = encoder_of(encoder, width)
        size = self.encoder.size
        self.attn_query_vecs = nn.Parameter(torch.empty(4, heads, size // heads))
        last = size if temporal else 4
        self.attn_fc = nn.Sequential(
            nn.Linear(4 * size, 4096), nn.ReLU(), nn.Linear(4096, last)
        )
        self.temporal = temporal
        if temporal:
            self.conv1d = nn.Sequential(
                nn.Conv1d(
                    size, size, kernel_size, padding=kernel_size // 2, bias=False
                ),
                nn.BatchNorm1d(size),
            )
            # The place of the dropout, off here so that training can be compared.
            self.fc_out_final = nn.Sequential(
                nn.Linear(size, 512), nn.ReLU(), nn.Dropout(0.0), nn.Linear(512, 4)
            )

    def forward(self, clip):
        batch, frames = clip.shape[:2]
        features = self.encoder(clip.flatten(0, 1)).unflatten(0, (batch, frames))
        _, heads, depth = self.attn_query_vecs.shape
        parts = features.unflatten(2, (heads, depth))
        scores = torch.einsum("bthd,phd->bpht", parts, self.attn_query_vecs)
        attention = torch.softmax(scores / depth**0.5, -1)
        views = torch.einsum("bpht,bthd->bphd", attention, parts)
        x = self.attn_fc(views.flatten(1))
        out = {"features": features, "attention": attention}
        if self.temporal:
            temporal = F.relu(self.conv1d(features.transpose(1, 2))).transpose(1, 2)
            out["temporal"] = temporal
            x = self.fc_out_final(x + temporal.mean(1))
        return {"logits": x, **out}


PUBLISHED_WIDTHS = {"densenet161": 96, "densenet121": 64, "tiny_dense": 8}


def network_of(network, encoder=None, width=None, pooling="attention", **options):
    if encoder:
        width = width or PUBLISHED_WIDTHS.get(encoder, 64)
        head = "classifier" if encoder in DENSENETS else "fc"
    if network == "frame_vote":
        return FrameVote(encoder, width)
    if network == "usvn":
        return Usvn(encoder_of(encoder, width), pooling)
    if network == "cnn_lstm":
        return CnnLstm(encoder_of(encoder, width), head)
    if network == "c3d":
        # The steps, rows and columns after the last pool.
        flat = {(19, 38, 51): 1 * 2 * 2, LONG: 1 * 4 * 4}[options["clip_shape"]]
        return C3D(width or 64, flat)
    blocks = {"r2plus1d_18": (2, 2, 2, 2), "r2plus1d_34": (3, 4, 6, 3)}
    if "r2plus1d" in network:
        return R2Plus1D(blocks.get(network, (1, 1)), width or 64)
    if network == "tiny_x3d":
        return X3D((2,), width, (8,), 682)
    if network == "x3d_s":
        return X3D((3, 5, 11, 7), 24, (8, 8, 16, 32), 2048)
    return LuvNet(encoder, width, temporal=network == "luvnet")


def summary(tensor):
    """Three numbers that a wrong tensor hardly has: mean, spread and a weighted sum."""
    flat = tensor.detach().double().flatten()
    weights = torch.cos(torch.arange(flat.numel(), dtype=torch.float64))
    return [flat.mean().item(), flat.std(correction=0).item(), (flat @ weights).item()]


def record(options, shape, train):
    model = network_of(**options).train(train)
    state = {
        name: torch.from_numpy(random_tensor(name, tuple(value.shape), SEED))
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    model.load_state_dict(state, strict=False)
    clip = torch.from_numpy(random_clip((2, *shape, 3), SEED))
    out = model(clip.permute(0, 1, 4, 2, 3))
    case = {
        "options": options,
        "frames": shape[0],
        "pixels": shape[1:],
        "train": train,
        "logits": out["logits"].tolist(),
        "outputs": {name: summary(value) for name, value in out.items()},
    }
    if train:
        out["logits"].square().mean().backward()
        case["gradient_norms"] = {
            name: value.grad.norm().item() for name, value in model.named_parameters()
        }
        case["running"] = {
            name: summary(value)
            for name, value in model.named_buffers()
            if value.ndim == 1
        }
    return case


def main():
    torch.manual_seed(0)
    cases = {}
    for name, (network, encoder, width, pixels, train) in CASES.items():
        options = {"network": network, "encoder": encoder, "width": width}
        cases[name] = record(options, (3, *pixels), train)
    for name, case in VIDEO_CASES.items():
        cases[name] = record(*case)
    FIXTURE.write_text(json.dumps({"seed": SEED, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
