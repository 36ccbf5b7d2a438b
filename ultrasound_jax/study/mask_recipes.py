"""The settings of the study of masks: which sets, which networks, how large.

All start from shipped configurations; what is changed here is what the study varies and
what sizes it for two CPU cores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasound_jax.study.recipe_settings import Change, configured
from ultrasound_jax.types import Settings

# Name of a job -> the variant of a shipped configuration, and what it is in words.
LESIONS = {
    "encoder": ("unet.py:busi_encoder", "U-Net on ImageNet's encoder"),
    "unet": ("unet.py:busi", "U-Net from scratch"),
    "mednext": ("mednext.py:busi", "MedNeXt"),
    "segnet": ("breast_segnet.py:busi_published", "1x1 convolutions, as published"),
    "segnet_skips": ("breast_segnet.py:busi", "3x3 convolutions with skips"),
}
LUNGS = {
    "unet": ("unet.py:lungsegdb", "U-Net"),
    "fusionlungnet": ("fusionlungnet.py:lungsegdb", "FusionLungNet"),
}
PHANTOMS = {"busi": "lesion_phantom", "lungs": "phantom_ct"}


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    busi, lungs: options of the datasets that differ from the configurations' own.
    elsewhere: options of the set that lungs are also judged on. networks: options by
    job. epochs: by job. regions: settings of the classifier of regions, by their key;
    margins: of regions, in percent of their sides. changes: settings of all jobs, by
    their key; lung_changes: of those on CT.
    """

    busi: Mapping[str, Any]
    lungs: Mapping[str, Any]
    elsewhere: Mapping[str, Any]
    networks: Mapping[str, Mapping[str, Any]]
    epochs: Mapping[str, int]
    regions: Mapping[str, Any]
    margins: tuple[int, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)
    lung_changes: Mapping[str, Any] = field(default_factory=dict)
    phantoms: bool = False


FULL = Sizes(
    busi={"size": 128, "aspect": "keep"},
    lungs={"size": 96, "part": "V1"},
    elsewhere={"size": 96, "part": "V2"},
    networks={},
    epochs={
        "busi_encoder": 15,
        "busi_unet": 20,
        "busi_mednext": 10,
        "busi_segnet": 15,
        "busi_segnet_skips": 15,
        "lungs_unet": 8,
        "lungs_fusionlungnet": 4,
    },
    regions={
        "data.options.size": 128,
        "model.options.encoder": "efficientnet_lite0",
        "optim.frozen_stages": 6,
        "optim.frozen_norms": True,
        "optim.lr": 1e-3,
        "optim.encoder_rate": 0.1,
        "train.epochs": 10,
    },
    margins=(0, 10, 25, 50),
    lung_changes={"data.folds": 4},
)
SHRUNK = Sizes(
    busi={"size": 32, "patients": 18, "images": 1, "seed": 0},
    lungs={"size": 32, "patients": 6, "slices": 2, "seed": 0},
    elsewhere={"size": 32, "patients": 4, "slices": 2, "seed": 5},
    networks={
        "busi_unet": {"width": 4, "depth": 2},
        "busi_encoder": {"encoder": "resnet18", "width": 4},
        "lungs_unet": {"width": 4, "depth": 2},
    },
    epochs=dict.fromkeys(FULL.epochs, 1),
    regions={
        "data.name": "lesion_phantom",
        "data.options.size": 32,
        "model.options.encoder": "resnet18",
        "train.epochs": 1,
    },
    margins=(25,),
    changes={
        "data.folds": 3,
        "data.batch_size": 4,
        "data.eval_batch_size": 8,
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


@dataclass(frozen=True)
class MaskRecipes:
    """The settings of every job that trains a segmentation."""

    where: Where
    sizes: Sizes

    def lesions(self, network: str) -> Settings:
        """A network on the lesions of BUSI."""
        file, _ = LESIONS[network]
        return self._of(f"busi_{network}", file, self.sizes.busi, {})

    def lungs(self, network: str) -> Settings:
        """A network on the lungs of CT slices."""
        file, _ = LUNGS[network]
        changes = self.sizes.lung_changes
        return self._of(f"lungs_{network}", file, self.sizes.lungs, changes)

    def halved(self, network: str) -> Settings:
        """A network on the lesions, computed in bfloat16."""
        config = self.lesions(network)
        config.dtype = "bfloat16"
        return config

    def two_stages(self, segmenter: Path, workdir: Path) -> list[str]:
        """The words of `predict.stages`: regions of BUSI's lesions, classified."""
        changes = {**self.sizes.changes, **self.sizes.regions}
        if not self.sizes.phantoms:
            changes["data.manual_dir"] = self.where.manual_dir
        changes |= {"init_from": self.where.weights, "init_part": "encoder"}
        return [
            f"--segmenter={segmenter}",
            f"--classifier-config={self.where.configs / 'probe.py:busi'}",
            f"--workdir={workdir}",
            *("--kinds", "whole", "roi", "masked_roi", "true_roi"),
            *("--classes", "benign", "malignant"),
            "--margins",
            *(str(margin) for margin in self.sizes.margins),
            "--set",
            *(f"{key}={value}" for key, value in changes.items()),
        ]

    def other_lungs(self) -> dict[str, Any]:
        """The set that lungs are also judged on, as `config.data`."""
        options = {f"options.{k}": v for k, v in self.sizes.elsewhere.items()}
        if self.sizes.phantoms:
            return {"name": PHANTOMS["lungs"]} | options
        return {"name": "lungsegdb", "manual_dir": self.where.manual_dir} | options

    def _of(
        self,
        name: str,
        file: str,
        options: Mapping[str, Any],
        more: Mapping[str, Any],
    ) -> Settings:
        kind = name.partition("_")[0]
        phantom = PHANTOMS[kind] if self.sizes.phantoms else ""
        changes = {
            **self.sizes.changes,
            **more,
            "train.epochs": self.sizes.epochs[name],
        }
        config = configured(self.where, file, Change(options, changes, phantom))
        own = config.model.options.to_dict() | dict(self.sizes.networks.get(name, {}))
        config.model.options = own
        return config
