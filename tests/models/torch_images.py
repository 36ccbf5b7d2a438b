"""The image networks of three studies once more with `torch.nn`, from their facts.

Parameters have the originals' names. What is never called is there as well.
"""

import torch
from torch import nn
from torch.nn import functional as F

from tests.models.make_torch_reference import Block


class Trunk(nn.Module):
    """ResNet-18's stem and stages, whose maps it returns."""

    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        size = width
        for i in range(4):
            wide = width * 2**i
            blocks = (
                Block(size, wide, 2 if i else 1, False),
                Block(wide, wide, 1, False),
            )
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
            size = wide
        self.size = size

    def maps(self, image):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, padding=1)
        found = []
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
            found.append(x)
        return found


GATES = {
    "published": lambda s: torch.sigmoid(s.softmax(-1)),
    "max_softmax": lambda s: s.softmax(-1) / s.softmax(-1).amax(-1, keepdim=True),
    "sigmoid": torch.sigmoid,
}


class GridAttention(nn.Module):
    def __init__(self, inputs, deeper, gate):
        super().__init__()
        self.theta = nn.Conv2d(inputs, deeper, 1, bias=False)
        self.phi = nn.Conv2d(deeper, deeper, 1, bias=False)
        self.psi = nn.Conv2d(deeper, 1, 1)
        self.gate = gate

    def forward(self, x, deeper):
        asked = F.interpolate(self.phi(deeper), size=x.shape[2:], mode="bilinear")
        scores = self.psi(F.relu(self.theta(x) + asked)).flatten(1)
        gate = GATES[self.gate](scores).view(len(x), 1, *x.shape[2:])
        return gate * x, gate[:, 0]


class ResNetAttention(Trunk):
    def __init__(self, channels, outputs, width=64, gate="published"):
        super().__init__(channels, width)
        self.fc = nn.Linear(self.size, outputs)
        self.compatibility_score1 = GridAttention(2 * width, self.size, gate)
        self.compatibility_score2 = GridAttention(4 * width, self.size, gate)
        self.classifier1 = nn.Linear(2 * width, outputs)
        self.classifier2 = nn.Linear(4 * width, outputs)
        self.classifier3 = nn.Linear(8 * width, outputs)
        self.classifier = nn.Linear(3 * outputs, outputs)

    def forward(self, image):
        _, second, third, last = self.maps(image)
        fine, fine_gate = self.compatibility_score1(second, last)
        middle, middle_gate = self.compatibility_score2(third, last)
        pyramid = fine, middle, last
        means = [x.mean((2, 3)) for x in pyramid]
        said = [getattr(self, f"classifier{i + 1}")(m) for i, m in enumerate(means)]
        return {
            "logits": self.classifier(torch.cat(said, 1)),
            "features": torch.cat(means, 1),
            "gates": (fine_gate, middle_gate),
            "pyramid": tuple(x.permute(0, 2, 3, 1) for x in pyramid),
        }


class ResNet18Mlp(Trunk):
    def __init__(self, channels, outputs, width=64, hidden=256):
        super().__init__(channels, width)
        # The place of the dropout, off here so that training can be compared.
        self.fc = nn.Sequential(
            nn.Linear(self.size, hidden),
            nn.ReLU(),
            nn.Dropout(0.0),
            nn.Linear(hidden, outputs),
        )

    def forward(self, image):
        features = self.maps(image)[-1].mean((2, 3))
        return {"logits": self.fc(features), "features": features}


class BreastCnn(nn.Module):
    """Flattened by row, column and channel, as Keras has it."""

    def __init__(self, channels, outputs, pixels, width=16):
        super().__init__()
        sizes = [channels, *(width * 2**i for i in range(4))]
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(*pair, 3, padding=1) for pair in pairs)
        flat = sizes[-1] * (pixels[0] // 16) * (pixels[1] // 16)
        self.d1, self.d2 = nn.Linear(flat, 16 * width), nn.Linear(16 * width, outputs)

    def forward(self, image):
        x, stages = image, []
        for conv in self.convs:
            stages.append(F.relu(conv(x)))
            x = F.max_pool2d(stages[-1], 2)
        stages = [stage.permute(0, 2, 3, 1) for stage in stages]
        features = F.relu(self.d1(x.permute(0, 2, 3, 1).flatten(1)))
        return {
            "logits": self.d2(features),
            "features": features,
            "stage_maps": tuple(stages),
            "feature_map": stages[-1],
        }


class Parts(nn.Module):
    """Named sequences one after the other, since the study's names have two words."""

    def __init__(self, **parts):
        super().__init__()
        for name, layers in parts.items():
            self.add_module(name, nn.Sequential(*layers))

    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x


class Autoencoder(nn.Module):
    def __init__(self, channels, pixels, width=16, code=1024):
        super().__init__()

        def conv(inputs, outputs, stride=1):
            return nn.Conv2d(inputs, outputs, 3, stride, 1)

        def normed(inputs, outputs, stride=1):
            layers = conv(inputs, outputs, stride), nn.BatchNorm2d(outputs), nn.ReLU()
            return list(layers)

        w = width
        self.cells = [side // 32 for side in pixels]
        flat = 16 * w * self.cells[0] * self.cells[1]
        self.convenoder = Parts(
            encoder_cnn1=[conv(channels, w), nn.ReLU(), *normed(w, 2 * w)],
            encoder_cnn2=[
                nn.MaxPool2d(2),
                *normed(2 * w, 4 * w, 2),
                *normed(4 * w, 8 * w, 2),
            ],
            encoder_cnn3=[nn.MaxPool2d(2), *normed(8 * w, 16 * w), nn.MaxPool2d(2)],
        )
        to_code = [nn.Linear(flat, code), nn.BatchNorm1d(code), nn.ReLU()]
        self.linencoder = Parts(encoder_lin=to_code)
        self.lindecoder = Parts(decoder_lin=[nn.Linear(code, flat), nn.ReLU()])
        layers, sizes = [], [16 * w, 8 * w, 4 * w, 2 * w, w, channels]
        for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [
                nn.Upsample(scale_factor=2),
                nn.ConvTranspose2d(inputs, outputs, 3, 1, 1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.convdecoder = Parts(decoder_conv=layers[:-2])

    def forward(self, image):
        code = self.linencoder(self.convenoder(image).flatten(1))
        x = self.lindecoder(code).view(len(code), -1, *self.cells)
        logits = self.convdecoder(x).permute(0, 2, 3, 1)
        return {"logits": logits, "image": torch.sigmoid(logits), "code": code}


NETWORKS = {
    "resnet_attention": ResNetAttention,
    "resnet18_mlp": ResNet18Mlp,
    "breast_cnn": BreastCnn,
    "autoencoder": Autoencoder,
}


def network_of(name, *, channels, patterns, pixels, **options):
    """A network by the name and options of ours."""
    if name == "autoencoder":
        return Autoencoder(channels, pixels, **options)
    if name == "breast_cnn":
        return BreastCnn(channels, patterns, pixels, **options)
    return NETWORKS[name](channels, patterns, **options)
