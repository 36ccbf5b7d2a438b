"""Benign skin tumours in ultrasound (Lee et al. 2023), 3 classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.datasets.beam.records import Fact, Skipped
from ultrasound_jax.datasets.image_builder import (
    SPLIT,
    ImageBuilder,
    ImageConfig,
)
from ultrasound_jax.datasets.options import checked_config
from ultrasound_jax.datasets.skin_tumor.files import (
    CLASSES,
    PATIENTS,
    Picture,
    has_classes,
    list_pictures,
    patient_notes,
    patients_table,
    with_patients,
)
from ultrasound_jax.datasets.skin_tumor.record import Preparation, make_record, views
from ultrasound_jax.media.pictures import groups_by_likeness

PUBLISHED = 698


@dataclass(kw_only=True)
class SkinTumorConfig(ImageConfig):
    """drop_doppler, crop_skin: see `panels.py`; for images as a scanner saves them."""

    size: int = 224
    drop_doppler: bool = False
    crop_skin: bool = False


class Builder(ImageBuilder):
    """Class folders of images, and a csv that says which patient each shows."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The original is not public. Give a folder with epidermal_cyst/, lipoma/, "
        f"pilomatricoma/ and {PATIENTS} or .xlsx (columns file, patient_id): "
        "--manual_dir=DIR."
    )
    CONFIG = SkinTumorConfig
    BUILDER_CONFIGS: ClassVar[list[SkinTumorConfig]] = [
        checked_config(SkinTumorConfig, "skin_tumor", options)
        for options in ({}, {"drop_doppler": True, "crop_skin": True})
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.image_info(
            classes=CLASSES,
            homepage="https://doi.org/10.3390/s23177374",
            licence="Yours: the original images are not public",
            mask=False,
            metadata={"notes": [], "panels_removed": []},
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        root = _root(self.manual_folder(dl_manager))
        pictures, left, folders = list_pictures(root)
        for number, reason in enumerate(left, start=1):
            self.skip(f"not used {number}", reason)
        notes = _compare(pictures)
        config = self.config
        reading = self.reading([picture.path for picture in pictures])
        how = Preparation(reading, config.drop_doppler, config.crop_skin)
        if table := patients_table(root):
            pictures, orphans = with_patients(pictures, table)
            notes += patient_notes(table)
            for picture in orphans:
                self.skip(picture.image_id, f"has no row in {table.name}")
        else:
            notes.append(f"no {PATIENTS}: near duplicates stand in for patients")
            pictures = self._by_likeness(pictures, how)
        notes += folders
        for note in notes:
            logging.warning("skin_tumor: %s", note)
        if self.info.metadata is not None:  # only its type says that it may be
            self.info.metadata["notes"] = notes
        make = partial(make_record, how)
        return {SPLIT: self.examples(pictures, make, ahead=2, unit="images")}

    def _by_likeness(self, pictures: list[Picture], how: Preparation) -> list[Picture]:
        names = [picture.image_id for picture in pictures]
        groups, refused = groups_by_likeness(pictures, partial(views, how), names=names)
        for name, reason in refused.items():
            self.skip(name, reason)
        return [
            replace(picture, patient_id=groups[picture.image_id])
            for picture in pictures
            if picture.image_id in groups
        ]

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """Also lists the images of which a Doppler panel was removed."""
        removed = [fact.value for fact in facts if fact.name == "panel_removed"]
        return {**super().account(facts, skipped), "panels_removed": removed}


def _root(manual_dir: Path) -> Path:
    for root in (manual_dir / "skin_tumor", manual_dir / "USskintumor", manual_dir):
        if has_classes(root):
            return root
    return manual_dir  # `list_pictures` says what is missing


def _compare(pictures: list[Picture]) -> list[str]:
    counts = Counter(picture.label for picture in pictures)
    notes = [f"no images of {label}" for label in CLASSES if not counts[label]]
    if len(pictures) != PUBLISHED:
        notes.append(f"{len(pictures)} images, published are {PUBLISHED}")
    return notes
