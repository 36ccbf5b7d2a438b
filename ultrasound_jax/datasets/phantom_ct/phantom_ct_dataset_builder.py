"""Simulated slices of chest CT in Hounsfield units, with masks of the lungs.

A phantom checks software. It says nothing about patients.
"""

from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.datasets.image_builder import SPLIT, ImageBuilder
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.datasets.phantom_ct.options import PhantomCtConfig
from ultrasound_jax.datasets.phantom_ct.record import make_record

WINDOW = (-1350.0, 150.0)  # of a lung: centre -600, width 1500 Hounsfield units


class Builder(ImageBuilder):
    """Builder of the phantom; needs no files and no network."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar = [checked_config(PhantomCtConfig, "phantom_ct", {})]

    CONFIG = PhantomCtConfig
    OTHER_PATIENTS = ("seed",)
    UNITS = ("slice", "slice")
    MASKED = ("lung",)

    def mask_classes(self) -> tuple[str, ...]:
        """As `ImageBuilder.mask_classes`; no option says otherwise."""
        return self.MASKED

    def pixel_values(self) -> tuple[float, float]:
        """The ends of a lung's window; `config.data.hu_width` takes another."""
        return WINDOW

    def _info(self) -> tfds.core.DatasetInfo:
        return self.image_info(
            classes=("lung",),
            licence="This project's: nobody's images",
            dtype=np.int16,
            label=False,
            more={"slice": np.int32, "pixel_mm": np.float32},
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded
        config = self.config
        numbers = [
            (patient, place)
            for patient in range(config.patients)
            for place in range(config.slices)
        ]
        make = partial(make_record, config)
        return {SPLIT: self.examples(numbers, make, ahead=2, unit="slices")}
