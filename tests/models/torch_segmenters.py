"""The networks of masks once more with `torch.nn`, from their facts.

Parameters have the originals' names. What is never used is there as well.
"""

import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from tests.models.make_torch_reference import RESNETS, ResNet


class MedBlock(nn.Module):
    """MedNeXt's block, which may halve or double the size."""

    def __init__(self, inputs, outputs, *, kind="same", residual=False):
        super().__init__()
        options = {"groups": inputs, "padding": 1, "stride": 1 if kind == "same" else 2}
        turned = kind == "up"
        make = nn.ConvTranspose2d if turned else nn.Conv2d
        self.conv1 = make(inputs, inputs, 3, **options)
        self.norm = nn.GroupNorm(inputs, inputs)
        self.conv2 = nn.Conv2d(inputs, 2 * inputs, 1)
        self.conv3 = nn.Conv2d(2 * inputs, outputs, 1)
        if kind != "same":
            self.res_conv = make(inputs, outputs, 1, stride=2)
        self.kind, self.residual = kind, residual

    def forward(self, x):
        y = self.conv3(F.gelu(self.conv2(self.norm(self.conv1(x)))))
        if self.kind == "up":
            edges = (1, 0, 1, 0)
            return F.pad(y, edges) + F.pad(self.res_conv(x), edges)
        if self.kind == "down":
            return y + self.res_conv(x)
        return y + x if self.residual else y


class Head(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv_out = nn.ConvTranspose2d(inputs, outputs, 1)

    def forward(self, x):
        return self.conv_out(x)


class MedNeXt(nn.Module):
    def __init__(
        self, channels, outputs, *, residual=True, width=32, depth=4, blocks=2
    ):
        super().__init__()
        self.depth = depth
        self.dummy_tensor = nn.Parameter(torch.tensor([1.0]))
        self.stem = nn.Conv2d(channels, width, 1)

        def stage(size):
            return nn.Sequential(
                *(MedBlock(size, size, residual=residual) for _ in range(blocks))
            )

        for i in range(depth):
            size = width * 2**i
            self.add_module(f"enc_block_{i}", stage(size))
            self.add_module(f"down_{i}", MedBlock(size, 2 * size, kind="down"))
            self.add_module(f"up_{i}", MedBlock(2 * size, size, kind="up"))
            self.add_module(f"dec_block_{i}", stage(size))
            self.add_module(f"out_{i}", Head(size, outputs))
        deepest = width * 2**depth
        self.bottleneck = stage(deepest)
        self.add_module(f"out_{depth}", Head(deepest, outputs))

    def part(self, name, level):
        return getattr(self, f"{name}_{level}")

    def forward(self, image):
        x, skipped = self.stem(image), []
        for i in range(self.depth):
            skipped.append(self.part("enc_block", i)(x))
            x = self.part("down", i)(skipped[-1])
        x = self.bottleneck(x)
        heads = {f"head{self.depth}": self.part("out", self.depth)(x)}
        for i in reversed(range(self.depth)):
            x = self.part("dec_block", i)(skipped[i] + self.part("up", i)(x))
            heads[f"head{i}"] = self.part("out", i)(x)
        heads = {name: head.permute(0, 2, 3, 1) for name, head in heads.items()}
        return {"logits": heads["head0"], **heads}


def resized(x, like):
    return F.interpolate(x, size=like, mode="bilinear", align_corners=False)


class Backbone(ResNet):
    """A ResNet that returns what is behind each of its stages."""

    def __init__(self, width, name="resnet50"):
        super().__init__(*RESNETS[name], width)

    def half(self, x):
        return F.relu(self.bn1(self.conv1(x)))

    def forward(self, x, half=None):
        half = self.half(x) if half is None else half
        x = F.max_pool2d(half, 3, 2, padding=1)
        found = []
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
            found.append(x)
        return found


NORMS = {
    "batch": nn.BatchNorm2d,
    "group": lambda size: nn.GroupNorm(math.gcd(size, 8), size),
    "instance": lambda size: nn.GroupNorm(size, size),
    "none": lambda size: nn.Identity(),
}


def double_conv(name, inputs, outputs, norm):
    parts = []
    for i, size in enumerate((inputs, outputs), 1):
        conv = nn.Conv2d(size, outputs, 3, padding=1, bias=norm == "none")
        parts += [(f"{name}_conv{i}", conv), (f"{name}_bn{i}", NORMS[norm](outputs))]
        parts.append((f"{name}_relu{i}", nn.ReLU()))
    return nn.Sequential(OrderedDict(parts))


class UNet(nn.Module):
    """As the PU2756 study has it, or with a ResNet that goes down."""

    def __init__(
        self, channels, outputs, *, width=None, depth=None, norm="batch", encoder=None
    ):
        super().__init__()
        self.has_encoder = encoder is not None
        if self.has_encoder:
            width, depth = width or 16, 5
            self.encoder = Backbone(64, encoder)
            wide = 64 * (4 if RESNETS[encoder][0] else 1)
            beside = [0, 64, *(wide * 2**i for i in range(4))]
        else:
            width, depth = width or 32, depth or 4
            beside = [width * 2**level for level in range(depth + 1)]
            for level in range(depth):
                inputs = beside[level - 1] if level else channels
                block = double_conv(f"enc{level + 1}", inputs, beside[level], norm)
                self.add_module(f"encoder{level + 1}", block)
            self.bottleneck = double_conv("bottleneck", *beside[-2:], norm)
        self.depth = depth
        sizes = [*(width * 2**level for level in range(depth)), beside[-1]]
        for level in range(depth):
            up = nn.ConvTranspose2d(sizes[level + 1], sizes[level], 2, 2)
            self.add_module(f"upconv{level + 1}", up)
            both = sizes[level] + beside[level]
            block = double_conv(f"dec{level + 1}", both, sizes[level], norm)
            self.add_module(f"decoder{level + 1}", block)
        self.conv = nn.Conv2d(width, outputs, 1)

    def down(self, image):
        if self.has_encoder:
            half = self.encoder.half(image)
            *finer, deepest = self.encoder(image, half)
            return deepest, [None, half, *finer]
        x, skipped = image, []
        for level in range(self.depth):
            skipped.append(getattr(self, f"encoder{level + 1}")(x))
            x = F.max_pool2d(skipped[-1], 2)
        return self.bottleneck(x), skipped

    def forward(self, image):
        x, skipped = self.down(image)
        for level in range(self.depth, 0, -1):
            x, beside = getattr(self, f"upconv{level}")(x), skipped[level - 1]
            x = x if beside is None else torch.cat([x, beside], 1)
            x = getattr(self, f"decoder{level}")(x)
        return {"logits": self.conv(x).permute(0, 2, 3, 1)}


class Attention(nn.Module):
    """FusionLungNet's channel-aware attention."""

    def __init__(self, inputs, size):
        super().__init__()
        self.conv0 = nn.Conv2d(inputs, size, 1)
        self.bn0 = nn.BatchNorm2d(size)
        self.conv1 = nn.Conv2d(inputs, size, 1)
        self.conv2 = nn.Conv2d(size, size, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(size)
        self.conv13 = nn.Conv2d(size, size, (1, 3), padding=(0, 1))
        self.conv31 = nn.Conv2d(size, size, (3, 1), padding=(1, 0))

    def forward(self, left, right):
        x = F.relu(self.bn0(self.conv0(left)))
        x = F.relu(self.bn1(self.conv2(x)))
        y = F.relu(self.conv1(right))
        y = F.relu(self.conv13(F.relu(self.conv31(y))))
        return x * torch.sigmoid(y.mean((2, 3), keepdim=True))


class Refinement(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.conv1 = nn.Conv2d(size, size, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(size)
        self.conv2 = nn.Conv2d(size, 2 * size, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        weight, bias = self.conv2(x).chunk(2, 1)
        return F.relu(weight * x + bias)


class Fusion(nn.Module):
    def __init__(self, left, size):
        super().__init__()
        for i, inputs in enumerate((left, size, size, 3 * size)):
            self.add_module(f"conv{i}", nn.Conv2d(inputs, size, 3, padding=1))
            self.add_module(f"bn{i}", nn.BatchNorm2d(size))

    def forward(self, left, down, right):
        left = F.relu(self.bn0(self.conv0(left)))
        down = F.relu(self.bn1(self.conv1(down)))
        right = F.relu(self.bn2(self.conv2(right)))
        down, right = (resized(x, left.shape[2:]) for x in (down, right))
        x = torch.cat([left * down, left * right, right * down], 1)
        return F.relu(self.bn3(self.conv3(x)))


class RefUnet(nn.Module):
    def __init__(self, channels, size):
        super().__init__()
        self.conv0 = nn.Conv2d(channels, size, 3, padding=1)
        for i in range(1, 6):
            self.add_module(f"conv{i}", nn.Conv2d(size, size, 3, padding=1))
            self.add_module(f"bn{i}", nn.BatchNorm2d(size))
        for i in range(1, 5):
            self.add_module(f"conv_d{i}", nn.Conv2d(2 * size, size, 3, padding=1))
            self.add_module(f"bn_d{i}", nn.BatchNorm2d(size))
        self.conv_d0 = nn.Conv2d(size, channels, 3, padding=1)

    def layer(self, x, name):
        x = getattr(self, f"conv{name}")(x)
        return F.relu(getattr(self, f"bn{name}")(x))

    def forward(self, z):
        x, skipped = self.conv0(z), []
        for i in range(1, 5):
            skipped.append(self.layer(x, i))
            x = F.max_pool2d(skipped[-1], 2, 2, ceil_mode=True)
        x = self.layer(x, 5)
        for i in range(4, 0, -1):
            beside = skipped[i - 1]
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.layer(torch.cat([x, beside], 1), f"_d{i}")
        return z + self.conv_d0(x)


class FusionLungNet(nn.Module):
    def __init__(self, outputs, *, width=64):
        super().__init__()
        size = 4 * width
        self.bkbone = Backbone(width)
        levels = [size, 2 * size, 4 * size, 8 * size]
        self.ca55 = Attention(levels[3], size)
        self.fam45, self.fam34, self.fam23 = (
            Fusion(levels[i], size) for i in (2, 1, 0)
        )
        for i in range(2, 6):
            self.add_module(f"srm{i}", Refinement(size))
            self.add_module(f"linear{i}", nn.Conv2d(size, outputs, 3, padding=1))
        self.refunet = RefUnet(outputs, width)

    def forward(self, image):
        out2, out3, out4, out5 = self.bkbone(image)
        s = {5: self.srm5(self.ca55(out5, out5))}
        s[4] = self.srm4(self.fam45(out4, s[5], s[5]))
        s[3] = self.srm3(self.fam34(out3, s[4], s[5]))
        s[2] = self.srm2(self.fam23(out2, s[3], s[5]))
        z = {
            i: resized(getattr(self, f"linear{i}")(x), image.shape[2:])
            for i, x in s.items()
        }
        z = {f"head{i}": x.permute(0, 2, 3, 1) for i, x in z.items()} | {
            "refined": self.refunet(z[2]).permute(0, 2, 3, 1)
        }
        return {"logits": z["refined"], "head0": z["refined"], **z}


# What is behind both convolutions of each block of the Keras network, in order.
STEPS = [
    ("pool", "norm"), ("pool",), ("pool", "drop"), ("up", "norm"), ("up",),
    ("up", "drop"), (),
]  # fmt: skip
SKIPS = {4: 2, 5: 1, 6: 0}  # the block that takes the maps of a finer one beside


class BreastSegNet(nn.Module):
    def __init__(
        self, channels, outputs, *, kernel_size=1, skips=False, width=16, dropout=0.5
    ):
        super().__init__()
        sizes = [width * n for n in (1, 2, 4, 8, 4, 2, 1)]
        convs, inputs = [], channels
        for block, size in enumerate(sizes):
            if skips and block in SKIPS:
                inputs += sizes[SKIPS[block]]
            for entering in (inputs, size):
                convs.append(
                    nn.Conv2d(entering, size, kernel_size, padding=kernel_size // 2)
                )
            inputs = size
        convs.append(nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2))
        self.c = nn.ModuleList(convs)
        self.bn0 = nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)
        self.bn1 = nn.BatchNorm2d(8 * width, eps=1e-3, momentum=0.01)
        self.drop = nn.Dropout(dropout)
        self.skips = skips

    def forward(self, image):
        x, maps, norms = image, [], iter((self.bn0, self.bn1))
        for block, steps in enumerate(STEPS):
            if self.skips and block in SKIPS:
                x = torch.cat([x, maps[SKIPS[block]]], 1)
            for conv in self.c[2 * block : 2 * block + 2]:
                x = F.relu(conv(x))
            maps.append(x)
            for step in steps:
                if step == "pool":
                    x = F.max_pool2d(x, 2)
                elif step == "up":
                    x = F.interpolate(x, scale_factor=2, mode="nearest")
                else:
                    x = self.drop(x) if step == "drop" else next(norms)(x)
        return {"logits": self.c[-1](x).permute(0, 2, 3, 1)}


def network_of(name, *, channels, patterns, **options):
    """A network by the name and options of ours."""
    if name == "fusionlungnet":
        return FusionLungNet(patterns, **options)
    kind = {"unet": UNet, "mednext": MedNeXt, "breast_segnet": BreastSegNet}[name]
    return kind(channels, patterns, **options)
