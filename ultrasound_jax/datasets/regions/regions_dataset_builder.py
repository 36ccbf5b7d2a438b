"""Regions that a segmentation found, cut out of the pictures of another dataset."""

from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ultrasound_jax.data.spec import Spec
from ultrasound_jax.datasets.image_builder import SPLIT, ImageBuilder
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.datasets.regions.files import read_about, read_cases
from ultrasound_jax.datasets.regions.options import RegionsConfig
from ultrasound_jax.datasets.regions.record import make_record


class Builder(ImageBuilder):
    """Squares around what was found; ids, patients and labels are the pictures'."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder `cases` that python -m ultrasound_jax.predict.stages wrote: "
        "--manual_dir=WORKDIR/cases."
    )
    BUILDER_CONFIGS: ClassVar = [checked_config(RegionsConfig, "regions", {})]
    CONFIG = RegionsConfig
    GROUPS = ("found",)
    OTHER_PATIENTS = ("of",)

    def spec(self) -> Spec:
        """As `ImageBuilder.spec`, with the units of the pictures' own dataset."""
        fields = super().spec()
        first, second = (self.info.metadata or {}).get("units", self.UNITS)
        return Spec(dict(fields), (first, second))

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(metadata=tfds.core.MetadataDict())

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> Any:
        about = read_about(self.manual_folder(dl_manager))
        info = self.image_info(
            classes=about["classes"],
            licence=f"That of the pictures: {about['dataset']}",
            mask=False,
            label=False,
            more={
                "found": tfds.features.Text(),
                "box": tfds.features.Tensor(shape=(4,), dtype=np.int32),
            },
            metadata={
                "units": list(about["units"]),
                "patients_are": about["patient"],
                "pictures_of": about["dataset"],
            },
        )
        # TFDS asks for features when a builder is made, before any file is at hand.
        self.info._features = info.features
        if self.info.metadata is not None:
            self.info.metadata.update(info.metadata or {})
        return super()._generate_splits(dl_manager, download_config)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        root = self.manual_folder(dl_manager)
        cases = read_cases(root, read_about(root)["classes"])
        make = partial(make_record, str(root), self.config)
        return {SPLIT: self.examples(cases, make, ahead=2, unit="images")}
