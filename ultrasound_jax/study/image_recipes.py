"""The settings of the study of images: which sets, which networks, how large.

All start from shipped configurations; what is changed here is what the study varies and
what sizes it for two CPU cores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasound_jax.augment.search.presets import PRESETS, Preset
from ultrasound_jax.study.recipe_settings import Change, configured
from ultrasound_jax.types import Settings

NETWORKS = ("breast_cnn", "resnet_attention", "image_classifier")
AUGMENTS = ("none", "flip_rotate", "trivial", "fast", "random")
POLICIES = ("fast", "random")  # augmentations that a file is made for
ENCODER_RATE = 1e-4
TURNS = {"name": "flip_and_rotate", "flip": 0.5, "rotate": 0.5, "degrees": 15.0}


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    encoder: what the networks see with. last: stages of it that stay as they are where
    the last ones learn. busi, table, pocus: options of the datasets that differ from
    the configurations' own. elsewhere: the other datasets. preset: of the searches.
    changes: settings of all jobs, by their key.
    """

    encoder: Mapping[str, Any]
    last: int
    busi: Mapping[str, Any]
    table: Mapping[str, Any]
    pocus: Mapping[str, Any]
    epochs: Mapping[str, int]
    luvnet: Mapping[str, Any]
    widths: Mapping[str, Mapping[str, Any]]
    elsewhere: Mapping[str, Mapping[str, Any]]
    preset: Preset
    random: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    phantoms: bool = False


FULL = Sizes(
    encoder={"encoder": "efficientnet_lite0"},
    last=6,  # the last two stages and the head learn
    busi={"size": 224},
    table={"size": 128},
    pocus={"size": 192, "frame_rate": 3.0, "clip_seconds": 2.0},
    epochs={
        "busi": 10,
        "pocus": 6,
        "breast_cnn": 20,
        "resnet_attention": 15,
        "image_classifier": 10,
        "search": 8,
        "phantom": 6,
    },
    luvnet={"heads": 8, "kernel_size": 3},
    widths={"resnet_attention": {"width": 16}},
    elsewhere={
        "breasts": {"name": "lesion_phantom", "options.patients": 90},
        "lungs": {
            "name": "lus_phantom",
            "options.patients": 16,
            "options.videos": 2,
        },
    },
    preset=PRESETS["small"],
    random=20,
)
SHRUNK = Sizes(
    encoder={"encoder": "resnet18", "width": 4},
    last=3,
    busi={"size": 32, "patients": 18, "images": 1, "seed": 0},
    table={"size": 32, "patients": 18, "images": 1, "seed": 0},
    pocus={"size": 32, "frame_rate": 5.0, "patients": 14, "videos": 1, "seed": 3},
    epochs=dict.fromkeys(FULL.epochs, 1),
    luvnet={"heads": 4, "kernel_size": 3},
    widths={"resnet_attention": {"width": 4}},
    elsewhere={
        "breasts": {
            "name": "lesion_phantom",
            "options.patients": 9,
            "options.seed": 5,
        },
        "lungs": {"name": "lus_phantom", "options.patients": 8, "options.seed": 5},
    },
    preset=Preset(2, 1, 4, 2, 1, 2, 4),
    random=2,
    changes={
        "data.folds": 3,
        "data.batch_size": 4,
        "data.eval_batch_size": 8,
        "probe.c": [0.01, 1.0],
        "evaluation.replicates": 200,
    },
    phantoms=True,
)


@dataclass(frozen=True)
class Where:
    """Where files lie: configurations, datasets, the encoder's weights, the runs."""

    configs: Path
    manual_dir: str
    data_dir: str
    weights: str
    out: Path
    breasts: Mapping[str, Any]
    lungs: Mapping[str, Any]


@dataclass(frozen=True)
class Recipes:
    """The settings of every job."""

    where: Where
    sizes: Sizes

    def busi(self, *, size: Mapping[str, Any] | None = None) -> Settings:
        """BUSI by the probe's configuration: the encoder and a linear layer."""
        options = dict(self.sizes.busi if size is None else size)
        config = self._load("probe.py:busi", "lesion_phantom", options)
        config.model.options = dict(self.sizes.encoder)
        config.augment = [TURNS, {"name": "brightness", "gain": 0.2, "shift": 0.1}]
        config.train.epochs = self.sizes.epochs["busi"]
        return config

    def pocus(self, network: str = "frame_vote") -> Settings:
        """POCUS by the probe's configuration, in longer clips of fewer frames."""
        config = self._load("probe.py:pocus", "lus_phantom", dict(self.sizes.pocus))
        options = dict(self.sizes.encoder)
        if network == "luvnet":
            config.model.name = network
            options |= self.sizes.luvnet
        else:
            options |= {"pooling": "mean"}
        config.model.options = options
        config.train.epochs = self.sizes.epochs["pocus"]
        return config

    def tuned(self, config: Settings, part: str) -> Settings:
        """The settings with so much of the encoder trained: frozen, last or whole.

        The encoder learns at ENCODER_RATE; what is new faster, and a linear layer alone
        the fastest, of which the average follows closer.
        """
        frozen = {"frozen": -1, "last": self.sizes.last, "whole": 0}[part]
        config.optim.frozen_stages, config.optim.frozen_norms = frozen, True
        config.optim.lr = 5e-4 if config.model.name == "luvnet" else 1e-3
        config.optim.encoder_rate = ENCODER_RATE / config.optim.lr
        if part == "frozen":
            config.optim.encoder_rate = 1.0
            if config.model.name != "luvnet":
                config.optim.lr, config.optim.ema = 3e-3, 0.9
        return config

    def headed(self, config: Settings, probe: str) -> Settings:
        """The settings with the last stages trained, from a probe's own head.

        All goes at the encoder's rate, since nothing is new.
        """
        config = self.tuned(config, "last")
        config.optim.lr, config.optim.encoder_rate = ENCODER_RATE, 1.0
        config.init_from, config.init_part = str(self.where.out / probe), "all"
        return config

    def table(self, network: str, augment: str, *, by_image: bool = False) -> Settings:
        """A network of the table with one of its augmentations.

        Policies are files of `policy`; the name of the file is all that is set here.
        """
        size = dict(self.sizes.table)
        if network == "image_classifier":
            config = self.tuned(self.busi(size=size), "last")
        else:
            config = self._load(f"{network}.py:busi", "lesion_phantom", size)
            own = dict(self.sizes.widths.get(network, {}))
            config.model.options = own
            config.task.options.update({"class_weights": "balanced"})
        config.train.epochs = self.sizes.epochs[network]
        config.augment = self.augment(network, augment)
        if by_image and not self.sizes.phantoms:
            with config.data.options.unlocked():
                config.data.options.by_image = True
        return config

    def augment(self, network: str, name: str) -> list[dict[str, Any]]:
        """What `config.augment` is."""
        return {
            "none": [],
            "flip_rotate": [TURNS],
            "trivial": [{"name": "trivial_augment"}],
        }.get(name, [{"name": "policy", "file": str(self.policy(network, name))}])

    def policy(self, network: str, name: str) -> Path:
        """The file of a network's searched or random policies."""
        return self.where.out / "policies" / f"{network}_{name}.json"

    def search(self, network: str) -> Settings:
        """What a search trains its networks by."""
        config = self.table(network, "none")
        config.data.protocol, config.data.test_fraction = "rotation", 0.0
        config.train.epochs = self.sizes.epochs["search"]
        return config

    def phantom(self) -> Settings:
        """The embedded phantom, by the classifier that BUSI is fine-tuned from."""
        config = self.tuned(self.busi(), "whole")
        size = config.data.options.size
        config.data.name, config.data.manual_dir = "lesion_phantom", ""
        given = {"size": size, "patients": 600, "images": 2, "seed": 1}
        if self.sizes.phantoms:
            given = dict(self.sizes.busi) | {"seed": 1}
        with config.data.unlocked():
            config.data.options = given
        config.task.options.update({"class_weights": "none"})
        config.train.epochs = self.sizes.epochs["phantom"]
        return config

    def _load(self, file: str, phantom: str, options: dict[str, Any]) -> Settings:
        named = phantom if self.sizes.phantoms else ""
        change = Change(options, self.sizes.changes, named)
        return configured(self.where, file, change)


def sizes_of(config: Settings) -> dict[str, Any]:
    """What a reader must know of how large a job is."""
    options, network = config.data.options, config.model.options.to_dict()
    found: dict[str, Any] = {"data": config.data.name, "pixels": options.size}
    if "frame_rate" in options:
        seconds = options.get("clip_seconds", 1.0)
        found["frames"] = round(options.frame_rate * seconds)
    words = [config.model.name, network.get("encoder"), network.get("width")]
    found["network"] = " ".join(str(word) for word in words if word is not None)
    found |= {"epochs": config.train.epochs, "batch": config.data.batch_size}
    found |= {"rate": config.optim.lr, "encoder rate": config.optim.encoder_rate}
    found["frozen stages"] = config.optim.frozen_stages
    found["frozen norms"] = config.optim.frozen_norms
    found["augment"] = " ".join(one["name"] for one in config.augment) or "none"
    return found
