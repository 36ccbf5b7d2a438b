"""Breast-like still images with simulated lesions of two kinds, or none, and masks.

A phantom checks software. It says nothing about patients.
"""

from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.datasets.image_builder import SPLIT, ImageBuilder
from ultrasound_jax.datasets.lesion_phantom.options import LesionConfig
from ultrasound_jax.datasets.lesion_phantom.patients import CLASSES
from ultrasound_jax.datasets.lesion_phantom.record import make_record
from ultrasound_jax.datasets.options import checked_config


class Builder(ImageBuilder):
    """Builder of the phantom; needs no files and no network."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [checked_config(LesionConfig, "lesion_phantom", {})]

    CONFIG = LesionConfig
    OTHER_PATIENTS = ("seed",)

    def mask_classes(self) -> tuple[str, ...]:
        """As `ImageBuilder.mask_classes`; no option says otherwise."""
        return self.MASKED

    def _info(self) -> tfds.core.DatasetInfo:
        return self.image_info(
            classes=CLASSES,
            licence="This project's: nobody's images",
            more={"pixel_mm": np.float32},
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded
        config = self.config
        numbers = [
            (patient, image)
            for patient in range(config.patients)
            for image in range(config.images)
        ]
        make = partial(make_record, config)
        return {SPLIT: self.examples(numbers, make, ahead=2, unit="images")}
